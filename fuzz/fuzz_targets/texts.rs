//! Names and addresses from command lines and from other people's keys. What is accepted keeps its rules and reads as the same
//! again; an address is never shown with its secrets.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stamp::{Path, RedisUrl, RunId, SampleEvery, Stage};

fuzz_target!(|text: &str| {
    if let Ok(run) = text.parse::<RunId>() {
        assert_eq!(run.as_str(), text);
        // It stands between colons in a key.
        assert!((1..=64).contains(&text.len()) && !text.contains(':'));
    }
    if let Ok(stage) = text.parse::<Stage>() {
        assert_eq!(stage.as_str(), text);
        assert!((1..=32).contains(&text.len()) && !text.contains(':'));
    }
    if let Ok(path) = text.parse::<Path>() {
        let names: Vec<_> = path.stages().iter().map(Stage::as_str).collect();
        assert_eq!(names.join(",").parse::<Path>().unwrap(), path);
    }
    if let Ok(every) = text.parse::<SampleEvery>() {
        assert_eq!(every.to_string().parse::<SampleEvery>().unwrap(), every);
    }
    match text.parse::<RedisUrl>() {
        Ok(url) => {
            assert_eq!(url.with_secrets(), text);
            secrets_are_hidden(text, &url.to_string());
        }
        Err(error) => drop(error.to_string()),
    }
});

/// Nothing from before the last @ of an address is shown after its scheme.
fn secrets_are_hidden(url: &str, shown: &str) {
    if let Some((_, rest)) = url.split_once("://")
        && let Some((_, host)) = rest.rsplit_once('@')
    {
        assert!(shown.ends_with(&format!("://{host}")), "{url:?} is shown as {shown:?}");
    }
}
