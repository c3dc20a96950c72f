//! `driver run`: users who go through the steps of a plan file, against servers that answer as a test wants them to, and over a real pipeline.
#![allow(clippy::unwrap_used)]

mod driving;
mod server;

use driving::{Running, assert_valid, driver, printed, told, until};
use rustix::process::Signal;
use serde_json::{Value, json};
use server::{request, server};
use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, Output};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

/// Runs a plan whose target is this server; its folder is also that of its files and of its report.
fn run(folder: &Path, plan: &str, target: SocketAddr, options: &str) -> Output {
    command(folder, plan, target, options).output().unwrap()
}

fn command(folder: &Path, plan: &str, target: SocketAddr, options: &str) -> Command {
    fs::write(folder.join("p.yaml"), plan.replace("TARGET", &format!("http://{target}"))).unwrap();
    driver(format!("run {0}/p.yaml --out {0}/out {options}", folder.display()))
}

fn report(folder: &Path) -> Value {
    driving::report(&folder.join("out"))
}

/// The users' figures of the first level.
fn scenario(folder: &Path) -> Value {
    report(folder)["levels"][0]["load"]["scenario"].clone()
}

/// A figure of each step, by name.
fn by_step(steps: &Value, figure: &str) -> BTreeMap<String, Value> {
    let name = |step: &Value| step["name"].as_str().unwrap().to_owned();
    steps.as_array().unwrap().iter().map(|step| (name(step), step[figure].clone())).collect()
}

/// A server whose answer follows from the request, and the requests that it had.
fn asked(answer: impl Fn(&str) -> String + Send + Sync + 'static) -> (SocketAddr, Arc<Mutex<Vec<String>>>) {
    let all = Arc::new(Mutex::new(Vec::new()));
    let had = all.clone();
    let address = server(move |mut stream| {
        while let Some(bytes) = request(&mut stream) {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let answer = answer(&text);
            had.lock().unwrap().push(text);
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    });
    (address, all)
}

fn ok(headers: &str, body: &str) -> String {
    format!("HTTP/1.1 200 OK\r\n{headers}Content-Length: {}\r\n\r\n{body}", body.len())
}

/// The first line of a request without its version.
fn line(request: &str) -> &str {
    request.split(" HTTP/1.1").next().unwrap()
}

#[test]
fn messages_of_two_steps_are_traced_apart() {
    let folder = tempfile::tempdir().unwrap();
    let plan = "stampede: 1
pipeline: local
users:
  u:
    think: 1ms..5ms
    tasks:
      two:
        steps:
          - { name: first, POST: /a, json: { id: \"${id}\", run: \"${run}\" } }
          - { name: second, POST: /b, json: { id: \"${id}\", run: \"${run}\" } }
load: { users: 4, spawn: 40/s, warmup: 100ms, duration: 1s }
thresholds: [ \"steps.first.arrival.p50<10s\", \"steps.second.errors==0\", \"rounds.two.p50<10s\", \"lost==0\" ]
";
    let nowhere = "127.0.0.1:9".parse().unwrap();
    let output = run(folder.path(), plan, nowhere, "--every 5");
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let report = report(folder.path());
    let level = &report["levels"][0];
    let scenario = &level["load"]["scenario"];
    let accepted = by_step(&scenario["steps"], "accepted");
    let sum: u64 = accepted.values().map(|count| count.as_u64().unwrap()).sum();
    assert!(sum > 100 && level["books"]["accepted"] == sum && level["books"]["lost"] == 0, "{}", level["books"]);
    // What came before the measured time is in a run of its own.
    assert!(by_step(&scenario["around"]["steps"], "accepted")["first"].as_u64().unwrap() > 0, "{scenario}");
    let steps = level["steps"].as_array().unwrap();
    let sampled: u64 = steps.iter().map(|step| step["sampled"].as_u64().unwrap()).sum();
    assert_eq!((steps.len(), &json!(sampled)), (2, &level["traces"]["sampled"]));
    assert!(steps.iter().all(|step| step["arrival"]["count"].as_u64().unwrap() > 10), "{steps:?}");
    let rows = fs::read_to_string(folder.path().join("out/latest/steps.tsv")).unwrap();
    assert_eq!(rows.lines().count(), 3, "{rows}");
    assert_valid("report.schema.json", &report);
    // The plan that is kept means the same.
    let again = driving::run(format!("check {}/out/latest/plan.yaml", folder.path().display()));
    assert_eq!(again.status.code(), Some(0), "{}", told(&again));
}

#[test]
fn every_user_has_a_row_and_gives_it_back_and_what_it_keeps_is_its_own() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.csv"), "\u{feff}uid,note\r\n1,\"a, b\"\r\n2,c\r\n3,d\r\n").unwrap();
    let plan = "stampede: 1
target: TARGET
data: { account: { csv: a.csv, take: unique } }
users:
  u:
    data: account
    cookies: true
    headers: { X-User: \"${account.uid}\" }
    keep: { nonce: optional header X-Nonce }
    retry: { status: 401, times: 1 }
    on_start: [ { name: log in, POST: /login, form: { note: \"${account.note}\" } } ]
    tasks:
      t:
        steps:
          - { name: add, POST: /orders, json: { nonce: '${nonce or \"none\"}' }, keep: { order: json $.order.id, kind: header X-Kind } }
          - { name: look, GET: \"/orders/${order}?kind=${kind}\", when: kept order }
          - { name: remove, DELETE: \"/orders/${order}\", always: true, expect: { status: 200 } }
          - { name: none, GET: /none, keep: { nothing: optional header X-None } }
          - { name: never, GET: /never, when: kept nothing }
    on_stop: [ { name: log out, POST: /logout } ]
load: { users: 3, duration: 300ms }
";
    let (address, all) = asked(move |request| {
        let user = request.split("X-User: ").nth(1).and_then(|rest| rest.lines().next()).unwrap().to_owned();
        match line(request) {
            "POST /login" => ok(&format!("Set-Cookie: s=of{user}; Path=/\r\nX-Nonce: n0\r\n"), ""),
            // An order with yesterday's nonce is asked for again.
            "POST /orders" if request.contains("\"nonce\":\"n0\"") => {
                "HTTP/1.1 401 Unauthorized\r\nX-Nonce: n1\r\nContent-Length: 0\r\n\r\n".to_owned()
            }
            "POST /orders" => {
                ok("X-Kind: a/b\r\nX-Nonce: n0\r\n", &format!("{{\"x\":[1],\"order\":{{\"id\":\"of {user}\"}}}}"))
            }
            _ => ok("", ""),
        }
    });
    let output = run(folder.path(), plan, address, "--seed 7");
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let all = all.lock().unwrap();
    let of = |start: &str| all.iter().filter(|request| request.starts_with(start)).count();
    assert_eq!((of("POST /login"), of("POST /logout"), of("GET /never")), (3, 3, 0));
    assert_eq!(of("GET /orders/of%20"), of("DELETE /orders/of%20"));
    for user in 1..=3 {
        let own: Vec<&String> = all.iter().filter(|request| request.contains(&format!("X-User: {user}\r\n"))).collect();
        assert!(line(own[0]) == "POST /login" && line(own[own.len() - 1]) == "POST /logout", "{own:?}");
        let look = own.iter().find(|request| request.starts_with("GET /orders/")).unwrap();
        assert!(
            line(look) == format!("GET /orders/of%20{user}?kind=a%2Fb")
                && look.contains(&format!("Cookie: s=of{user}\r\n")),
            "{look}"
        );
        // Neither its nonce nor anything else that it keeps is another's.
        assert!(
            own.iter()
                .filter(|request| request.starts_with("POST /orders"))
                .all(|request| request.contains("\"nonce\":\"n"))
        );
    }
    assert!(all.iter().any(|request| request.ends_with("note=a%2C%20b")));
    let scenario = scenario(folder.path());
    let (requests, retries) = (by_step(&scenario["steps"], "requests"), by_step(&scenario["steps"], "retries"));
    assert!(retries["add"].as_u64().unwrap() > 0 && requests["never"] == 0, "{scenario}");
    assert_eq!(scenario["failures"], json!([]));
    assert_eq!(by_step(&scenario["around"]["steps"], "requests")["log out"], 3);
}

#[test]
fn answers_that_are_not_as_expected_are_told_by_kind_with_the_first_of_them() {
    let folder = tempfile::tempdir().unwrap();
    let steps: Vec<String> = ["text", "cut", "none", "huge", "late", "status"]
        .map(|kind| {
            format!("          - {{ name: {kind}, GET: /{kind}, keep: {{ v: json $.a.b }}, expect: {{ within: 5s }} }}")
        })
        .into();
    let plan = format!(
        "stampede: 1
target: TARGET
users:
  u:
    on_failure: next
    tasks:
      t:
        steps:
{}
load: {{ users: 1, duration: 10s, requests: 6, timeout: 1s }}
",
        steps.join("\n")
    );
    let address = server(move |mut stream| {
        while let Some(bytes) = request(&mut stream) {
            let text = String::from_utf8_lossy(&bytes).into_owned();
            let answer = match line(&text) {
                "GET /text" => ok("", "<html>"),
                "GET /cut" => "HTTP/1.1 200 OK\r\nContent-Length: 99\r\n\r\n{\"a\":".to_owned(),
                "GET /none" => ok("", "{\"a\":{\"c\":1}}"),
                "GET /huge" => ok("", &format!("{{\"x\":\"{}\"}}", "y".repeat(40 << 20))),
                "GET /status" => "HTTP/1.1 409 Conflict\r\nContent-Length: 8\r\n\r\nsold out".to_owned(),
                _ => {
                    std::thread::sleep(Duration::from_secs(3));
                    return;
                }
            };
            if stream.write_all(answer.as_bytes()).is_err() || line(&text) == "GET /cut" {
                return;
            }
        }
    });
    let output = run(folder.path(), &plan, address, "");
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    let scenario = scenario(folder.path());
    let mut failures: Vec<String> =
        scenario["failures"].as_array().unwrap().iter().map(|one| one["kind"].as_str().unwrap().to_owned()).collect();
    failures.sort();
    insta::assert_snapshot!(failures.join("\n"), @r"
    cut: closed within the answer
    huge: no $.a.b in the answer, which is larger than 16 MiB
    late: timeout
    none: no $.a.b in the answer
    status: status 409
    text: no $.a.b in the answer, which is no JSON
    ");
    let conflict = scenario["failures"].as_array().unwrap().iter().find(|one| one["kind"] == "status: status 409");
    let answer = conflict.unwrap()["answer"].as_str().unwrap();
    assert!(answer.starts_with("HTTP/1.1 409") && answer.ends_with("sold out"), "{answer}");
    let page = fs::read_to_string(folder.path().join("out/latest/report.html")).unwrap();
    assert!(page.contains("status: status 409") && page.contains("sold out"));
}

#[test]
fn users_whose_start_fails_are_not_among_those_that_ran() {
    let folder = tempfile::tempdir().unwrap();
    let plan = "stampede: 1
target: TARGET
users:
  u:
    on_start: [ { GET: \"/login?${user}\" } ]
    tasks: { t: { steps: [ { GET: \"/ü/%2f\" } ] } }
load: { users: 4, duration: 200ms }
";
    let (address, all) = asked(|request| match line(request) {
        "GET /login?1" => "HTTP/1.1 503 Busy\r\nContent-Length: 0\r\n\r\n".to_owned(),
        _ => ok("", ""),
    });
    let output = run(folder.path(), plan, address, "");
    assert!(told(&output).contains("at 4 users, of whom 3 ran"), "{}", told(&output));
    assert_eq!(scenario(folder.path())["users"], 3);
    assert!(all.lock().unwrap().iter().any(|request| line(request).starts_with("GET /%C3%BC/%2f")));
}

#[test]
fn rows_that_are_used_up_end_the_load_and_too_few_are_told_before_it() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("a.json"), "[1, 2, 3, 4, 5]").unwrap();
    let plan = |take: &str| {
        format!(
            "stampede: 1
target: TARGET
data: {{ n: {{ json: a.json, take: {take} }} }}
users: {{ u: {{ data: n, tasks: {{ t: {{ steps: [ {{ GET: \"/${{n.value}}\" }} ] }} }} }} }}
load: {{ users: 2, duration: 60s }}
"
        )
    };
    let (address, all) = asked(|_| ok("", ""));
    let output = run(folder.path(), &plan("once"), address, "");
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let mut lines: Vec<String> = all.lock().unwrap().iter().map(|request| line(request).to_owned()).collect();
    lines.sort();
    assert_eq!(lines, ["GET /1", "GET /2", "GET /3", "GET /4", "GET /5"]);
    let output = run(folder.path(), &plan("unique"), address, "--users 9");
    assert_eq!((output.status.code(), all.lock().unwrap().len()), (Some(2), 5));
    assert!(told(&output).contains("a.json has 5 rows, but 9 users each take one"), "{}", told(&output));
}

#[test]
fn a_set_up_that_fails_loads_nothing_and_tidies_up_and_ctrl_c_lets_rounds_end() {
    let folder = tempfile::tempdir().unwrap();
    let plan = "stampede: 1
target: TARGET
setup:
  - { name: key, POST: /key, keep: { key: json $.key } }
  - { name: more, POST: /more }
users:
  u:
    tasks: { t: { steps: [ { name: a, POST: /a }, { name: b, DELETE: /b, think: 100ms } ] } }
    on_stop: [ { POST: /bye } ]
teardown: [ { DELETE: \"/key/${key}\" }, { command: touch FOLDER/tidied } ]
load: { users: 2, duration: 60s }
"
    .replace("FOLDER", folder.path().to_str().unwrap());
    let refuses = Arc::new(AtomicUsize::new(1));
    let asks = refuses.clone();
    let (address, all) = asked(move |request| match line(request) {
        "POST /key" => ok("", "{\"key\":\"k 1\"}"),
        "POST /more" if asks.load(Ordering::Relaxed) == 1 => {
            "HTTP/1.1 500 Oops\r\nContent-Length: 9\r\n\r\nno more k".to_owned()
        }
        _ => ok("", ""),
    });
    let lines = || all.lock().unwrap().iter().map(|request| line(request).to_owned()).collect::<Vec<_>>();
    let output = run(folder.path(), &plan, address, "");
    assert_eq!(output.status.code(), Some(1), "{}", told(&output));
    assert!(told(&output).contains("set-up failed: more: status 500\nno more k"), "{}", told(&output));
    assert_eq!(lines(), ["POST /key", "POST /more", "DELETE /key/k%201"]);
    assert!(folder.path().join("tidied").exists());

    refuses.store(0, Ordering::Relaxed);
    all.lock().unwrap().clear();
    let running = Running::start(&mut command(folder.path(), &plan, address, ""));
    until(|| lines().contains(&"POST /a".to_owned()).then_some(()), "it never began");
    running.signal(Signal::INT);
    let output = running.output();
    assert_eq!(output.status.code(), Some(130), "{}", told(&output));
    let lines = lines();
    let of = |wanted: &str| lines.iter().filter(|line| *line == wanted).count();
    // Every round has come to its end, and every user has stopped.
    assert!(of("POST /a") == of("DELETE /b") && of("POST /bye") == 2, "{lines:?}");
    assert_eq!(lines.last().unwrap(), "DELETE /key/k%201");
}

#[test]
fn rates_stages_and_kinds_of_users_are_as_the_plan_says() {
    let folder = tempfile::tempdir().unwrap();
    let plan = "stampede: 1
target: TARGET
users:
  one: { weight: 1, tasks: { a: { steps: [ { GET: /one, think: 10ms } ] } } }
  two: { weight: 2, tasks: { b: { steps: [ { GET: /two, think: 10ms } ] } } }
load: LOAD
";
    let (address, all) = asked(|_| ok("", ""));
    let with = |load: &str| plan.replace("LOAD", load);
    let output = run(folder.path(), &with("{ rate: 100/s, max_users: 5, duration: 500ms }"), address, "");
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let level = report(folder.path())["levels"][0].clone();
    assert_eq!((&level["load"]["rate"], level["load"]["scenario"]["closed"].as_bool()), (&json!(100.0), Some(false)));
    assert_eq!(level["load"]["scenario"]["all_rounds"]["ended"], 50);
    all.lock().unwrap().clear();
    let stages = with("{ stages: [ { to: 6, over: 200ms }, { to: 0, over: 300ms } ] }");
    let output = run(folder.path(), &stages, address, "");
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    let scenario = scenario(folder.path());
    assert_eq!((&scenario["staged"], &scenario["users"]), (&json!(true), &json!(6)));
    assert!(all.lock().unwrap().iter().any(|request| line(request) == "GET /one"));
    // Only what is chosen runs; a name that is none is told with those that are.
    all.lock().unwrap().clear();
    let output = run(folder.path(), &with("{ users: 3, duration: 100ms }"), address, "--except a");
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    assert!(all.lock().unwrap().iter().all(|request| line(request) == "GET /two"));
    let output = run(folder.path(), &with("{ users: 3, duration: 100ms }"), address, "--only c");
    assert_eq!(output.status.code(), Some(2));
    assert!(told(&output).contains("the plan has no task `c`: it has `a`, `b`"), "{}", told(&output));
}

#[test]
fn options_count_more_than_the_file_and_the_plan_that_they_mean_is_printed() {
    let folder = tempfile::tempdir().unwrap();
    let plan = "stampede: 1
params: { n: 1 }
target: TARGET
users: { u: { tasks: { t: { steps: [ { GET: \"/${n}\" } ] } } } }
load: { users: 1, duration: 1m }
thresholds: [ \"errors == 0\" ]
";
    let address = "127.0.0.1:9".parse().unwrap();
    let options = "--set n=2 --users 2,5 --spawn 5 -d 2s --threshold errors==0 --print-plan";
    let plan = &plan.replace("TARGET", "http://me:hush@127.0.0.1:9");
    let output = run(folder.path(), plan, address, options);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    insta::assert_snapshot!(printed(&output), @r#"
    stampede: 1
    params:
      n: "2"
    target: http://***@127.0.0.1:9
    users: { u: { tasks: { t: { steps: [ { GET: "/${n}" } ] } } } }
    load:
      levels: [2, 5]
      spawn: 5/s
      duration: 2s
    thresholds: ["errors==0"]
    "#);
    let sweep = |options: &str| driving::run(format!("sweep {options}"));
    let file = folder.path().join("p.yaml");
    let plan = format!("--plan {}", file.display());
    let output = sweep(&format!("{plan} --users 3 --duration 5s --print-plan"));
    assert!(printed(&output).contains("load:\n  users: 3\n  duration: 5s\n"), "{output:?}");
    for (options, why) in [
        (format!("{plan} --levels 1,2"), "give --users or --rates"),
        (format!("{plan} --body x"), "the plan says what is sent"),
        ("--users 3".to_owned(), "give one with --plan"),
    ] {
        let output = sweep(&options);
        assert_eq!(output.status.code(), Some(2), "{options}");
        assert!(told(&output).contains(why), "{}", told(&output));
    }
    let output = sweep("--levels 1,4 -d 2s --threshold lost==0 --print-plan");
    insta::assert_snapshot!(printed(&output).split_once('\n').unwrap().1, @r#"
    stampede: 1
    pipeline: local
    load:
      levels: [1, 4]
      warmup: 2s
      duration: 2s
      timeout: 10s
      seed: 1
    thresholds: ["lost==0"]
    "#);
}

#[test]
fn more_users_than_files_or_ports_are_told_before_the_load() {
    let folder = tempfile::tempdir().unwrap();
    let plan = "stampede: 1
target: TARGET
users: { u: { tasks: { t: { steps: [ { GET: / } ] } } } }
load: { users: 900000, duration: 1s }
";
    let (address, all) = asked(|_| ok("", ""));
    let output = run(folder.path(), plan, address, "");
    assert_eq!((output.status.code(), all.lock().unwrap().len()), (Some(1), 0));
    let told = told(&output);
    assert!(told.contains("raise `ulimit -n`") || told.contains("widen net.ipv4.ip_local_port_range"), "{told}");
}

#[test]
fn verdicts_on_the_thresholds_of_a_plan_go_into_a_file() {
    let folder = tempfile::tempdir().unwrap();
    let junit = folder.path().join("junit.xml");
    let (target, _) = asked(|_| ok("", "{}"));
    let plan = "stampede: 1
target: TARGET
users: { u: { tasks: { t: { steps: [ { GET: / } ] } } } }
load: { users: 1, duration: 200ms }
";
    let args = format!("--junit {}", junit.display());
    let without = run(folder.path(), plan, target, &args);
    assert_eq!(without.status.code(), Some(2), "{}", told(&without));
    assert!(told(&without).contains("--junit would have no verdicts to write"), "{}", told(&without));
    let output = run(folder.path(), &format!("{plan}thresholds: [ \"errors==0\" ]\n"), target, &args);
    assert_eq!(output.status.code(), Some(0), "{}", told(&output));
    assert!(fs::read_to_string(&junit).unwrap().contains("name=\"errors==0\""));
}
