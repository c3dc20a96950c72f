//! Raw stamps in a file, by the commands as a user runs them.
#![allow(clippy::unwrap_used)]

use std::process::{Command, Output};

fn driver(args: &[&str]) -> Output {
    Command::new(env!("CARGO_BIN_EXE_driver")).args(args).env("RUST_LOG", "warn").output().unwrap()
}

fn stdout(output: &Output) -> String {
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8_lossy(&output.stdout).trim().to_owned()
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
    assert_eq!(stdout(&driver(&["export", "adhoc", "--redis", &url, "-o", &file])), file);
    let again = driver(&["import", &file, "--redis", &url]);
    assert_eq!(again.status.code(), Some(1));
    let told = String::from_utf8_lossy(&again.stderr).into_owned();
    assert!(told.contains("holds run adhoc already: give --replace"), "{told}");
    drop(redis);

    let other = stack::Redis::start().await.unwrap();
    assert_eq!(stdout(&driver(&["import", &file, "--redis", &other.url()])), "adhoc");
    let [from_file, from_store] = ["file", "store"].map(|name| folder.path().join(name).display().to_string());
    stdout(&driver(&["report", &file, "--out", &from_file]));
    stdout(&driver(&["report", "adhoc", "--redis", &other.url(), "--out", &from_store]));
    let levels = |out: &str| {
        let report = std::fs::read(std::path::Path::new(out).join("latest/report.json")).unwrap();
        serde_json::from_slice::<serde_json::Value>(&report).unwrap()["levels"].take()
    };
    assert_eq!(levels(&from_file)[0]["arrival"]["count"], 1000);
    assert_eq!(levels(&from_file), levels(&from_store));
}
