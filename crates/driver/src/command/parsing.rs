//! From the words of the command line to the arguments of a command. What is wrong with them is told without secrets.

use super::secret::SECRETS;
use crate::output;
use clap::error::{ContextKind, ContextValue, Error};
use clap::{ArgMatches, Command};
use std::process::ExitCode;

/// Parses the command line of this process.
///
/// # Errors
/// The exit code where there is nothing to run: help was asked for, or something is wrong, and told.
pub(crate) fn parse(command: Command) -> Result<ArgMatches, ExitCode> {
    command.try_get_matches_from(super::page_args::bound(std::env::args_os())).map_err(refuse)
}

/// Tells what is wrong, as clap does, and gives its exit code.
pub(crate) fn refuse(error: Error) -> ExitCode {
    let code = ExitCode::from(u8::try_from(error.exit_code()).unwrap_or(stamp::WRONG_USAGE));
    if error.use_stderr() {
        output::note(told(error).trim_end());
    } else {
        output::result(error.render().to_string().trim_end());
    }
    code
}

/// What clap says, with the value that is wrong masked: it may come from the environment, and hold a password.
fn told(mut error: Error) -> String {
    let is_secret = |option: &ContextValue| SECRETS.iter().any(|secret| option.to_string().starts_with(secret.long));
    let hidden = error.get(ContextKind::InvalidArg).is_some_and(is_secret);
    if let Some(ContextValue::String(value)) = error.get(ContextKind::InvalidValue) {
        let shown = if hidden { stamp::MASKED.to_owned() } else { stamp::mask_value(value) };
        error.insert(ContextKind::InvalidValue, ContextValue::String(shown));
    }
    stamp::mask(&error.render().to_string()).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;
    use proptest::prelude::*;

    fn told_of(words: &[&str]) -> String {
        let command = crate::Arguments::command();
        told(command.try_get_matches_from(["driver"].iter().chain(words)).unwrap_err())
    }

    #[test]
    fn what_is_wrong_is_told_without_secrets() {
        let told = told_of(&["load", "http://h", "-H", "Authorization s3cret"]);
        assert!(!told.contains("s3cret") && told.contains("Name: value"), "{told}");
        for words in [["--otlp-header", "s3cretWithoutColon"].as_slice(), &["--otlp-header=s3cretWithoutColon"]] {
            let told = told_of(&[&["sweep", "--otlp", "http://h"], words].concat());
            assert!(!told.contains("s3cret") && told.contains("Name: value"), "{told}");
        }
        let told = told_of(&["load", "http://me:s3#cret@h/x"]);
        assert!(!told.contains("cret") && told.contains("%23"), "{told}");
    }

    proptest! {
        #[test]
        fn no_password_shows(secret in "[!-~ \u{e9}]{6,20}", option in 0usize..5) {
            // Long enough not to be found by chance in what is told anyway.
            let secret = format!("Zq{secret}qZ");
            let url = ["redis", "http", "https", "mqtt", "x"].map(|scheme| format!("{scheme}://user:{secret}@host:1/x/\u{0}"));
            let words = [
                vec!["sweep", "--redis", &url[0]],
                vec!["load", &url[1]],
                vec!["sweep", "--remote-write", &url[2]],
                vec!["role", "mqttclient", "--mqtt", &url[3]],
                vec!["sweep", "--target", &url[4], "--redis", "redis://h"],
            ];
            if let Err(error) = crate::Arguments::command().try_get_matches_from(["driver"].iter().chain(&words[option])) {
                let told = told(error);
                prop_assert!(!told.contains(&secret), "{}", told);
                let middle = &secret[2..secret.len() - 2];
                prop_assert!(middle.trim().len() < 6 || !told.contains(middle), "{}", told);
            }
        }
    }
}
