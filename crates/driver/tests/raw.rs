//! Raw stamps in a file, by the commands as a user runs them.
#![allow(clippy::unwrap_used)]

mod driving;

use driving::{printed, report, run, told};
use std::path::Path;

/// Runs it, and gives what it printed.
fn done(line: &str) -> String {
    let output = run(line);
    assert!(output.status.success(), "{}", told(&output));
    printed(&output).trim().to_owned()
}

#[tokio::test]
async fn a_run_outlives_the_log_store_that_held_it() {
    let redis = stack::Redis::start().await.unwrap();
    let url = redis.url();
    let tracer = stamp::Tracer::connect(&url).await.unwrap();
    for stage in stamp::Path::default().stages() {
        (0..1000).for_each(|id| tracer.stamp(stage, stamp::MsgId::new(id * 100).unwrap()));
        tracer.flush().await;
    }
    tracer.close().await;
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("adhoc.stamps.lz4").display().to_string();
    assert_eq!(done(&format!("export adhoc --redis {url} -o {file}")), file);
    let again = run(format!("import {file} --redis {url}"));
    assert_eq!(again.status.code(), Some(1));
    let told = told(&again);
    assert!(told.contains("holds run adhoc already: give --replace"), "{told}");
    drop(redis);

    let other = stack::Redis::start().await.unwrap();
    assert_eq!(done(&format!("import {file} --redis {}", other.url())), "adhoc");
    let [from_file, from_store] = ["file", "store"].map(|name| folder.path().join(name).display().to_string());
    done(&format!("report {file} --out {from_file}"));
    done(&format!("report adhoc --redis {} --out {from_store}", other.url()));
    let levels = |out: &str| report(Path::new(out))["levels"].take();
    assert_eq!(levels(&from_file)[0]["arrival"]["count"], 1000);
    assert_eq!(levels(&from_file), levels(&from_store));
}
