//! Searches, combinations, capacities and loads that are cut short, over a real local pipeline or a scripted API.
#![allow(clippy::unwrap_used)]

mod driving;
mod server;

use driving::{Running, driver, printed, report, told};
use rustix::process::Signal;
use serde_json::Value;
use server::{request, server};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Output, Stdio};
use tempfile::TempDir;

/// Runs it in this folder.
fn run(folder: &TempDir, line: impl AsRef<str>) -> Output {
    driver(line).current_dir(folder.path()).output().unwrap()
}

/// An API that answers each request with this status.
fn api(status: impl Fn() -> &'static str + Send + Sync + 'static) -> String {
    let address = server(move |mut stream| {
        while request(&mut stream).is_some() {
            let answer = format!("HTTP/1.1 {}\r\nContent-Length: 0\r\n\r\n", status());
            if stream.write_all(answer.as_bytes()).is_err() {
                return;
            }
        }
    });
    format!("http://{address}")
}

fn written(folder: &Path, name: &str, text: &str) -> PathBuf {
    let file = folder.join(name);
    std::fs::write(&file, text).unwrap();
    file
}

/// The rows of the history.
fn rows(folder: &TempDir) -> Vec<Value> {
    let text = std::fs::read_to_string(folder.path().join("reports/history.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

#[test]
fn a_search_of_an_api_says_at_least_where_all_holds() {
    let folder = tempfile::tempdir().unwrap();
    let url = api(|| "200 OK");
    let found = run(
        &folder,
        format!(
            "find {url} --hold errors==0 --hold response.p99<9s --from 50/s --to 100/s --trial 500ms --warmup 0s --json"
        ),
    );
    assert!(found.status.success(), "{}", told(&found));
    let answer: Value = serde_json::from_slice(&found.stdout).unwrap();
    assert_eq!((&answer["low_per_sec"], &answer["high_per_sec"]), (&Value::from(100.0), &Value::Null), "{answer}");
    assert_eq!(answer["ended"], "highest_holds");
    let report = report(&folder.path().join("reports"));
    assert_eq!(report["search"]["trials"].as_array().unwrap().len(), answer["trials"].as_array().unwrap().len());
    // The plan that it keeps repeats it.
    let plan = std::fs::read_to_string(folder.path().join("reports/latest/plan.yaml")).unwrap();
    assert!(plan.contains("from: 50/s") && plan.contains("hold: [\"errors==0\", \"response.p99<9s\"]"), "{plan}");
    let again = run(&folder, "run reports/latest/plan.yaml");
    assert!(printed(&again).contains("The highest load that holds is at least 100/s"), "{}", told(&again));
    assert!(rows(&folder).iter().all(|row| row["verdict"] == "held"), "{:?}", rows(&folder));
    let users = run(&folder, format!("find {url} --hold errors==0 --over users --to 2 --trial 300ms --warmup 0s"));
    assert!(printed(&users).contains("at least 2 users"), "{}", told(&users));
    let figures = &rows(&folder)[2]["figures"];
    assert_eq!(
        (&figures["capacity_users"]["unit"], &figures["capacity"]),
        (&"users".into(), &Value::Null),
        "{figures}"
    );
}

#[test]
fn a_search_whose_lowest_load_fails_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let url = api(|| "500 Internal Server Error");
    let found = run(&folder, format!("find {url} --hold errors==0 --from 50/s --to 1000/s --trial 300ms --warmup 0s"));
    assert_eq!(found.status.code(), Some(99), "{}", told(&found));
    let told = printed(&found);
    assert!(told.contains("Not even the lowest load, 50/s, holds") && told.contains("lower --from"), "{told}");
    let plan = format!(
        "stampede: 1\nparams: {{ n: 1 }}\ntarget: {url}\nvary: {{ n: [1] }}\nload: {{ rate: 20/s, duration: 300ms, warmup: 0s }}\n"
    );
    let varied = run(&folder, format!("run {}", written(folder.path(), "refused.yaml", &plan).display()));
    assert_eq!(varied.status.code(), Some(1), "a run that accepted nothing has failed: {}", printed(&varied));
    let search = "load: { warmup: 0s }\nsearch: { hold: [\"http.p99<1us\"], from: 20/s, to: 40/s, trial: 300ms }\n";
    let plan = plan.replace(&url, &api(|| "200 OK")).split("load:").next().unwrap_or_default().to_owned() + search;
    let varied = run(&folder, format!("run {}", written(folder.path(), "slow.yaml", &plan).display()));
    assert_eq!(varied.status.code(), Some(99), "{}", printed(&varied));
    let row = rows(&folder).pop().unwrap();
    assert_eq!((&row["verdict"], &row["figures"]["capacity"]["high"]), (&"missed".into(), &Value::from(20.0)), "{row}");
}

#[test]
fn a_trial_that_is_interrupted_stands_under_the_heading_of_trials() {
    let folder = tempfile::tempdir().unwrap();
    let (asked, requests) = std::sync::mpsc::channel();
    let url = api(move || asked.send(()).map_or("503 Gone", |()| "200 OK"));
    let line = format!("find {url} --hold errors==0 --from 50/s --trial 60s --warmup 0s");
    let mut search = Running::start(driver(line).current_dir(folder.path()).stderr(Stdio::piped()));
    let mut lines = search.told();
    let heading = lines.find(|line| line.ends_with("verdict")).unwrap();
    requests.iter().nth(2).unwrap();
    search.signal(Signal::INT);
    let row = lines.find(|line| line.trim_start().starts_with("50 ")).unwrap();
    assert_eq!(heading.strip_suffix("verdict").unwrap().len(), row.strip_suffix("interrupted").unwrap().len(), "{row}");
    assert_eq!(search.code(), Some(130));
}

#[test]
fn a_search_finds_the_load_above_which_an_api_fails() {
    let folder = tempfile::tempdir().unwrap();
    // It refuses what comes within 4 ms of the request before: from some 250 requests a second on.
    let last = std::sync::Mutex::new(std::time::SystemTime::UNIX_EPOCH);
    let url = api(move || {
        let mut last = last.lock().unwrap();
        #[allow(clippy::disallowed_methods, reason = "the API under test has a clock of its own")]
        let now = std::time::SystemTime::now();
        let soon = now.duration_since(*last).is_ok_and(|since| since.as_millis() < 4);
        *last = now;
        if soon { "503 Service Unavailable" } else { "200 OK" }
    });
    let search =
        format!("find {url} --hold errors<50% --from 50/s --to 5000/s --within 30% --trial 500ms --warmup 0s --json");
    // A machine that is too busy to send in time has no answer.
    let mut answers = (0..5).map(|_| {
        let found = run(&folder, &search);
        assert!(found.stdout.starts_with(b"{"), "{}", told(&found));
        serde_json::from_slice::<Value>(&found.stdout).unwrap()
    });
    let answer = answers.find(|answer| answer["ended"] != "generator_limited").unwrap();
    let (low, high) = (answer["low_per_sec"].as_f64().unwrap(), answer["high_per_sec"].as_f64().unwrap());
    // On a busy machine requests come in groups, and fail at less.
    assert!(low < high && low < 400.0, "{answer}");
    assert!(answer["limited_by"].as_str().unwrap().contains("errors"), "{answer}");
}

#[test]
fn what_a_search_cannot_do_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let refused = |options: &str| {
        let output = run(&folder, format!("find {options}"));
        assert_eq!(output.status.code(), Some(2), "{}", told(&output));
        told(&output)
    };
    assert!(refused("").contains("--hold"));
    assert!(refused("--hold lost==0 --from 9/s --to 5/s").contains("is not below --to"));
    assert!(refused("http://127.0.0.1:9/ --hold arrival.p99<1s").contains("of traced messages"));
    assert!(refused("--hold arrival.p99<1s --from 1/s").contains("sampled messages"));
    assert!(refused("nowhere.yaml --hold lost==0").contains("neither the URL of an API"));
    assert!(refused("--hold lost==0 -d 5s").contains("--trial"));
    assert!(refused("http://127.0.0.1:9/ --hold errors==0 --over users --to 2.5").contains("users are whole numbers"));
    assert!(refused("--hold lost==0 --redis redis://127.0.0.1:9").contains("--redis would do nothing"));
    assert!(refused("http://127.0.0.1:9/ --hold errors==0 --pushservers 2").contains("--pushservers would do nothing"));
    assert!(refused("--hold lost==0 --set n=1").contains("--set would do nothing"));
    // A plan's search of a private pipeline samples as this command does.
    let plan = "stampede: 1\npipeline: local\nsearch: { hold: [\"arrival.p99<1s\"], from: 100/s, trial: 2s }\n";
    let file = written(folder.path(), "search.yaml", plan);
    let output = run(&folder, format!("run {}", file.display()));
    assert_eq!(output.status.code(), Some(2));
    assert!(told(&output).contains("has 20 sampled messages"), "{}", told(&output));
}

#[test]
fn combinations_are_run_and_an_interrupted_one_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let url = api(|| "200 OK");
    let plan = format!(
        "stampede: 1\nname: paths\nparams: {{ path: a, users: 1 }}\ntarget: {url}\nusers: {{ u: {{ tasks: {{ t: {{ steps: [ {{ GET: \"/${{path}}\" }} ] }} }} }} }}\nvary: {{ path: [a, b], users: [1, 2] }}\nrepeat: 2\nload: {{ users: \"${{users}}\", duration: 200ms }}\n"
    );
    let file = written(folder.path(), "paths.yaml", &plan);
    let file = file.display();
    let ran = run(&folder, format!("run {file}"));
    assert!(ran.status.success(), "{}", told(&ran));
    let latest = folder.path().join("reports/latest");
    let read =
        || -> Value { serde_json::from_str(&std::fs::read_to_string(latest.join("vary.json")).unwrap()).unwrap() };
    let varied = read();
    assert_eq!((varied["combinations"].as_array().unwrap().len(), varied["runs"].as_array().unwrap().len()), (4, 8));
    let order = |varied: &Value| -> Vec<Value> {
        varied["runs"].as_array().unwrap().iter().map(|run| run["combination"].clone()).collect()
    };
    for name in ["vary.md", "vary.tsv", "vary.png", "vary.svg"] {
        assert!(latest.join(name).exists(), "{name}");
    }
    // As if it had been killed within its fourth run.
    let record = latest.join("runs.jsonl");
    let lines = std::fs::read_to_string(&record).unwrap();
    let kept: Vec<&str> = lines.split_inclusive('\n').take(4).collect();
    std::fs::write(&record, kept.concat() + "{\"number\":4,\"comb").unwrap();
    let resumed = run(&folder, format!("run {file} --resume"));
    assert!(resumed.status.success(), "{}", told(&resumed));
    let went_on = told(&resumed);
    assert!(went_on.contains("run 4 of 8") && !went_on.contains("run 3 of 8"), "{went_on}");
    let again = read();
    assert_eq!(order(&again), order(&varied));
    let nothing = run(&folder, format!("run {file} --resume"));
    assert_eq!(nothing.status.code(), Some(2));
    assert!(told(&nothing).contains("there is nothing to go on with"));
}

#[test]
fn a_million_combinations_ask_first() {
    let folder = tempfile::tempdir().unwrap();
    let values: Vec<String> = (1..=1000).map(|value| value.to_string()).collect();
    let values = values.join(", ");
    let plan = format!(
        "stampede: 1\nparams: {{ a: 1, b: 1 }}\npipeline: local\nvary: {{ a: [{values}], b: [{values}] }}\nload: {{ rate: 10/s, duration: 1s }}\n"
    );
    let file = written(folder.path(), "many.yaml", &plan);
    let refused = run(&folder, format!("run {}", file.display()));
    assert_eq!(refused.status.code(), Some(2));
    let told = told(&refused);
    assert!(told.contains("1000000 combinations") && told.contains("--yes") && told.contains("days"), "{told}");
}

#[test]
fn a_threshold_that_aborts_ends_the_level() {
    let folder = tempfile::tempdir().unwrap();
    let url = api(|| "500 Internal Server Error");
    let plan = format!(
        "stampede: 1\ntarget: {url}\nusers: {{ u: {{ think: 10ms, tasks: {{ t: {{ steps: [ {{ GET: / }} ] }} }} }} }}\nload: {{ levels: [1, 2], duration: 60s }}\nthresholds: [ {{ threshold: \"errors<1%\", abort: true }} ]\n"
    );
    let file = written(folder.path(), "failing.yaml", &plan);
    let ran = run(&folder, format!("run {} --json", file.display()));
    assert_ne!(ran.status.code(), Some(0), "{}", told(&ran));
    let levels: Vec<Value> = printed(&ran).lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    // The second does not begin.
    assert_eq!(levels.len(), 1);
    assert!(
        levels[0]["load"]["aborted"].as_str().unwrap().starts_with("errors<1%,abort was missed"),
        "{}",
        levels[0]["load"]
    );
}

#[test]
fn several_processes_of_a_service_share_the_work() {
    let folder = tempfile::tempdir().unwrap();
    let ran = run(
        &folder,
        "sweep --levels 4 -d 1s --warmup 0s --every 1 --apiservers 2 --pushservers 2 --mqttclients 2 \
         --threshold lost==0 --threshold duplicates==0 --json",
    );
    assert!(ran.status.success(), "{}", told(&ran));
    let level: Value = serde_json::from_str(printed(&ran).lines().next().unwrap()).unwrap();
    assert_eq!(level["books"]["accepted"], level["books"]["arrived"]);
    let usage = level["load"]["usage"].as_array().unwrap();
    let instances = |part: &str| usage.iter().filter(|one| one["component"] == part).count();
    assert_eq!(["apiserver", "pushserver", "mqttclient", "redis"].map(instances), [2, 2, 2, 1], "{usage:?}");
    // Both have done something.
    assert!(usage.iter().filter(|one| one["component"] == "apiserver").all(|one| one["cpu_us"].as_u64().unwrap() > 0));
}

#[test]
fn capacities_of_the_parts_are_measured_and_confirmed() {
    let folder = tempfile::tempdir().unwrap();
    let refused = run(&folder, "capacity --target 100/s --confirm 3s");
    assert!(told(&refused).contains("has 300 messages, and what must hold takes 368"), "{}", told(&refused));
    let ran = run(&folder, "capacity --target 100/s --repeat 2 -d 1s --confirm 3s --hold arrival.p90<9s --json");
    assert!(ran.status.success(), "{}", told(&ran));
    let sizing: Value = serde_json::from_slice(&ran.stdout).unwrap();
    assert_eq!(sizing["ratio"], "1:1:1");
    assert_eq!(sizing["confirmed"]["verified"], true);
    for part in sizing["parts"].as_array().unwrap() {
        assert!(part["per_sec"].as_f64().unwrap() > 100.0 && part["interval"].is_array(), "{part}");
    }
    assert!(folder.path().join("reports").join(sizing["confirmed"]["report"].as_str().unwrap()).exists());
    let [row] = &rows(&folder)[..] else { panic!("{:?}", rows(&folder)) };
    assert!(row["figures"]["pushserver_per_sec"]["value"].is_number() && row["figures"]["lost"].is_object(), "{row}");
}
