//! Names and addresses from command lines and from other people's keys. What is accepted keeps its rules and reads as the same
//! again; an address is never shown with its secrets.
#![no_main]

use libfuzzer_sys::fuzz_target;
use redis::IntoConnectionInfo;
use stamp::{Path, RedisUrl, RunId, SampleEvery, Stage, StoreError};

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
        Ok(url) => secrets_are_hidden(text, &url.to_string()),
        // What is no address is shown, too.
        Err(StoreError::Url { url, .. }) => secrets_are_hidden(text, &url),
        Err(error) => panic!("{error}"),
    }
});

/// The client library finds no login in what is shown.
fn secrets_are_hidden(url: &str, shown: &str) {
    if let Ok(info) = shown.into_connection_info() {
        let login = [info.redis_settings().username(), info.redis_settings().password()];
        assert_eq!(login, [None, None], "{url:?} is shown as {shown:?}");
    }
}
