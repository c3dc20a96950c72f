//! The history of real runs, and messages about them.
#![allow(clippy::unwrap_used)]

mod driving;

use axum::Router;
use driving::{assert_valid, driver, printed, told};
use serde_json::Value;
use std::fs;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::{Arc, Mutex};

fn run(line: &str, out: &Path, environment: &[(&str, &str)]) -> Output {
    driver(format!("{line} --out {}", out.display())).envs(environment.iter().copied()).output().unwrap()
}

fn all(output: &Output) -> String {
    printed(output) + &told(output)
}

fn rows(out: &Path) -> Vec<Value> {
    let text = fs::read_to_string(out.join("history.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

const BRIEF: &str = "sweep --levels 2 --duration 500ms --warmup 0s --every 1";

#[test]
fn each_run_adds_a_row() {
    let out = tempfile::tempdir().unwrap();
    for _ in 0..2 {
        let output = run(&format!("{BRIEF} --threshold lost==0"), out.path(), &[]);
        assert_eq!(output.status.code(), Some(0), "{}", all(&output));
    }
    let rows = rows(out.path());
    for row in &rows {
        assert_valid("history.schema.json", row);
    }
    assert_eq!(rows.len(), 2);
    assert_eq!((&rows[1]["kind"], &rows[1]["verdict"]), (&"sweep".into(), &"held".into()));
    assert_eq!(rows[0]["plan"], rows[1]["plan"]);
    assert_eq!(rows[0]["params"], serde_json::json!({ "duration": "500ms", "levels": "2" }));
    for name in ["requests_per_sec", "lost", "arrival_p50_us", "http_p99_us", "cpu_us_per_message"] {
        assert!(rows[1]["figures"][name]["value"].is_number(), "{name}: {}", rows[1]);
    }
    assert!(out.path().join(rows[1]["report"].as_str().unwrap()).join("report.html").exists());
    let shown = run("history --figure requests_per_sec --check", out.path(), &[]);
    assert_eq!(shown.status.code(), Some(0), "{}", all(&shown));
    assert!(all(&shown).contains("cannot tell yet: it has 1 of the 3 earlier runs"), "{}", all(&shown));
    let page = fs::read_to_string(out.path().join("history.html")).unwrap();
    assert!(page.contains(&format!("./{}/report.html", rows[1]["report"].as_str().unwrap())));
    let json = run("history --json --last 1", out.path(), &[]);
    assert_eq!(serde_json::from_slice::<Value>(&json.stdout).unwrap(), rows[1]);
}

#[test]
fn a_run_that_is_worse_ends_the_check_with_99() {
    let out = tempfile::tempdir().unwrap();
    let row = |number: usize, p99: f64| {
        let figure = serde_json::json!({ "value": p99, "unit": "µs", "better": "lower", "level": "c=4" });
        let host = serde_json::json!({ "id": "h", "name": "h", "processor": "", "processors": 2, "kernel": "6" });
        let row = serde_json::json!({
            "version": 1, "id": format!("r{number}"), "kind": "run", "time": format!("2026-11-21T10:{number:02}:00Z"),
            "plan": { "name": "orders" }, "params": {}, "host": host, "versions": {}, "verdict": "held",
            "figures": { "arrival_p99_us": figure },
        });
        assert_valid("history.schema.json", &row);
        format!("{row}\n")
    };
    let rows: String =
        [9100.0, 9300.0, 8800.0, 9000.0, 9200.0].into_iter().enumerate().map(|(at, p99)| row(at, p99)).collect();
    let write = |more: &str| fs::write(out.path().join("history.jsonl"), format!("{rows}{more}")).unwrap();
    let check = || run("history --check --plan orders", out.path(), &[]);
    write("");
    assert_eq!(check().status.code(), Some(0), "{}", all(&check()));
    write(&(row(7, 27_000.0) + "{\"version\":2}\n{\"torn"));
    let output = check();
    assert_eq!(output.status.code(), Some(99), "{}", all(&output));
    for part in
        ["arrival p99 at c=4 is worse: 9.08 ms → 27.0 ms", "1 row is of a newer Stampede", "line 8: no whole row"]
    {
        assert!(all(&output).contains(part), "{}", all(&output));
    }
    let wrong = run("history --plan order", out.path(), &[]);
    assert_eq!(wrong.status.code(), Some(2), "{}", all(&wrong));
    assert!(all(&wrong).contains("it has orders"), "{}", all(&wrong));
}

#[test]
fn what_cannot_be_remembered_or_told_ends_nothing() {
    let out = tempfile::tempdir().unwrap();
    // A folder stands where the file should.
    fs::create_dir(out.path().join("history.jsonl")).unwrap();
    let output = run(BRIEF, out.path(), &[("STAMPEDE_SLACK_URL", "http://127.0.0.1:1/services/T0HUSH")]);
    assert_eq!(output.status.code(), Some(0), "{}", all(&output));
    assert!(all(&output).contains("cannot add to the history"), "{}", all(&output));
    assert!(all(&output).contains("the Slack webhook took no message"), "{}", all(&output));
    assert!(!all(&output).contains("T0HUSH"));
    let nobody = run(&format!("{BRIEF} --notify-when always"), out.path(), &[]);
    assert_eq!(nobody.status.code(), Some(2), "{}", all(&nobody));
    let wrong = run(BRIEF, out.path(), &[("STAMPEDE_NOTIFY_URL", "T0HUSH")]);
    assert_eq!(wrong.status.code(), Some(2), "{}", all(&wrong));
    assert!(all(&wrong).contains("STAMPEDE_NOTIFY_URL") && !all(&wrong).contains("T0HUSH"), "{}", all(&wrong));
}

#[tokio::test(flavor = "multi_thread")]
async fn a_plan_says_who_is_told() {
    let got = Arc::new(Mutex::new(Vec::new()));
    let keep = got.clone();
    let take = move |body: String| async move {
        keep.lock().unwrap().push(serde_json::from_str::<Value>(&body).unwrap());
        "ok"
    };
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = format!("http://{}/T0HUSH", listener.local_addr().unwrap());
    tokio::spawn(async move { axum::serve(listener, Router::new().fallback(take)).await });
    let out = tempfile::tempdir().unwrap();
    let plan = out.path().join("orders.yaml");
    let text = "stampede: 1\nparams: { n: 1, api_key: T1HUSH }\npipeline: local\nload: { users: 2, duration: 500ms }\n\
                notify: { url: \"${env.TELL}\", slack: '${env.NOBODY or \"\"}', when: changed }\n";
    fs::write(&plan, text).unwrap();
    let reports = out.path().join("reports");
    let output =
        tokio::task::spawn_blocking(move || run(&format!("run {}", plan.display()), &reports, &[("TELL", &address)]));
    let output = output.await.unwrap();
    assert_eq!(output.status.code(), Some(0), "{}", all(&output));
    let [message] = &got.lock().unwrap()[..] else { panic!("{got:?}: {}", all(&output)) };
    assert_eq!(message["run"]["plan"]["name"], "orders");
    assert_eq!(message["run"]["params"]["api_key"], "***");
    // Neither secret is in any file that stays.
    let found = Command::new("grep").args(["-rlE", "T0HUSH|T1HUSH"]).arg(out.path().join("reports")).output().unwrap();
    assert_eq!(String::from_utf8_lossy(&found.stdout), "");
}
