//! Plans that are right, and plans that are wrong in every way that was thought of: what is said of each.
#![allow(clippy::unwrap_used)]

use plan::{Input, Plan, Problems};
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

fn files(kind: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/files").join(kind);
    let mut files: Vec<PathBuf> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|extension| extension == "yaml"));
    files.sort();
    files
}

fn read(file: &Path) -> Result<Plan, Problems> {
    let text = fs::read_to_string(file).unwrap();
    let name = file.file_name().unwrap().to_string_lossy();
    Plan::read(&Input { folder: file.parent().unwrap().to_owned(), ..Input::new(&name, &text) })
}

fn told(kind: &str) -> String {
    let mut all = String::new();
    for file in files(kind) {
        let problems = read(&file).unwrap_err();
        writeln!(all, "{problems}\n").unwrap();
    }
    all
}

#[test]
fn what_is_wrong_in_shape_is_told() {
    insta::assert_snapshot!(told("shape"));
}

#[test]
fn what_is_wrong_in_meaning_is_told() {
    insta::assert_snapshot!(told("meaning"));
}

#[test]
fn what_is_right_is_read() {
    for file in files("good") {
        read(&file).unwrap_or_else(|problems| panic!("{problems}"));
    }
}

/// The plans that documents show, as far as they are whole.
fn shown(page: &str) -> Vec<String> {
    let block =
        |text: &str| text.lines().map(|line| line.strip_prefix("    ").unwrap_or(line).to_owned() + "\n").collect();
    let blocks = page.split("\n\n").filter(|block| block.starts_with("    ")).map(block);
    let plans =
        blocks.filter(|text: &String| ["# yaml-l", "params:", "search:"].iter().any(|key| text.starts_with(key)));
    plans.map(|text| if text.contains("stampede: 1") { text } else { format!("stampede: 1\n{text}") }).collect()
}

#[test]
fn what_documents_and_examples_show_is_read() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let mut plans: Vec<String> = ["docs/plan.md", "docs/experiments.md"]
        .iter()
        .flat_map(|page| shown(&fs::read_to_string(root.join(page)).unwrap()))
        .collect();
    assert_eq!(plans.len(), 3, "{plans:?}");
    let examples = ["orders", "pipeline", "vote", "workers"];
    plans.extend(examples.map(|name| fs::read_to_string(root.join(format!("examples/{name}.yaml"))).unwrap()));
    for text in plans {
        let (folder, environment) = (root.join("examples"), |_: &str| Some("https://host/path".to_owned()));
        let read = Plan::read(&Input { folder, environment, traced: true, ..Input::new("p.yaml", &text) });
        read.unwrap_or_else(|problems| panic!("{problems}"));
    }
}

#[test]
fn what_comes_from_the_environment_is_shown_nowhere() {
    let environment = |_: &str| Some("hush-hush".to_owned());
    let wrong = "stampede: 1\ntarget: http://a\nload: { users: \"${env.KEY}\" }\n";
    let problems = Plan::read(&Input { environment, ..Input::new("p.yaml", wrong) }).unwrap_err();
    assert!(problems.to_string().contains("\"***\" is not a whole number"), "{problems}");
    assert!(!format!("{problems} {problems:?}").contains("hush"));
    let right = "stampede: 1\ntarget: \"http://${env.KEY}\"\n";
    let plan = Plan::read(&Input { environment, ..Input::new("p.yaml", right) }).unwrap();
    assert!(!format!("{plan:?}").contains("hush"), "{plan:?}");
    assert_eq!(plan.secrets.mask("http://hush-hush/"), "http://***/");
}

#[test]
fn addresses_of_messages_stay_in_the_environment() {
    let text = "stampede: 1\nnotify: { slack: \"${env.SLACK}\", when: always }\n";
    let environment = |_: &str| Some("https://hooks.slack.com/services/hush".to_owned());
    let plan = Plan::read(&Input { environment, ..Input::new("p.yaml", text) }).unwrap();
    assert_eq!(plan.notify.slack.as_ref().unwrap().reveal(), "https://hooks.slack.com/services/hush");
    assert!(!format!("{plan:?} {:?}", plan.notify).contains("hush"));
    let kept = plan.kept(text, Path::new("."), &[]);
    assert!(kept.contains("${env.SLACK}") && !kept.contains("hush"), "{kept}");
    let written = text.replace("${env.SLACK}", "https://hooks.slack.com/services/hush");
    let problems = Plan::read(&Input::new("p.yaml", &written)).unwrap_err().to_string();
    assert!(problems.contains("keep it in the environment") && !problems.contains("hush"), "{problems}");
    let environment = |_: &str| Some("hush".to_owned());
    let problems = Plan::read(&Input { environment, ..Input::new("p.yaml", text) }).unwrap_err().to_string();
    assert!(problems.contains("what SLACK holds is no address") && !problems.contains("hush"), "{problems}");
}

#[test]
fn logins_of_addresses_are_shown_nowhere() {
    let text = "stampede: 1
users: { u: { tasks: { t: { steps: [ { GET: \"http://me:hush@h/a@b\" } ] } } } }
load: { users: 1, requests: 1 }
";
    let plan = Plan::read(&Input::new("p.yaml", text)).unwrap();
    assert_eq!(plan.steps().next().unwrap().name, "GET http://***@h/a@b");
    let problems = Plan::read(&Input::new("p.yaml", &text.replace("/a", "#a"))).unwrap_err().to_string();
    assert!(problems.contains("http://***@h#a@b") && !problems.contains("hush"), "{problems}");
}

#[test]
fn parameters_with_the_name_of_a_secret_are_shown_nowhere() {
    let text = "stampede: 1\ntarget: http://a\nparams: { password: hush-hush, api_key: hushed-up, auth: true }\n";
    let set = vec![("api_key".to_owned(), "from outside".to_owned())];
    let plan = Plan::read(&Input { set, ..Input::new("p.yaml", text) }).unwrap();
    assert_eq!(plan.secrets.mask("hush-hush, from outside: true"), "***, ***: true");
    assert!(!format!("{plan:?}").contains("hush"), "{plan:?}");
}
