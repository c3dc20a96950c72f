//! Plan files from anybody. What is read is whole: every number of a kept value, a table and a column is one that the plan has. What is
//! wrong has its places in the file, and is shown.
#![no_main]

use libfuzzer_sys::fuzz_target;
use plan::{Input, Plan, Value};

fuzz_target!(|text: &str| {
    match Plan::read(&Input { folder: "/no/such/folder".into(), ..Input::new("plan.yaml", text) }) {
        Ok(plan) => {
            for step in plan.steps() {
                assert!(!step.method.is_empty() && step.repeat > 0);
                for value in step.url.values().chain(step.headers.iter().flat_map(|(_, text)| text.values())) {
                    match value {
                        Value::Kept(number) => assert!(*number < plan.kept.len()),
                        Value::Column(table, _) => assert!(*table < plan.data.len()),
                        _ => {}
                    }
                }
                assert!(step.keep.iter().all(|keep| keep.kept < plan.kept.len()));
            }
        }
        Err(problems) => {
            assert!(!problems.all().is_empty() && !problems.to_string().is_empty());
            let lines = text.lines().count().max(1);
            // YAML knows line breaks that Rust's lines do not.
            let breaks = text.chars().filter(|c| matches!(c, '\r' | '\u{85}' | '\u{2028}' | '\u{2029}')).count();
            assert!(problems.all().iter().all(|problem| problem.place.line <= lines + breaks + 1), "{problems}");
        }
    }
});
