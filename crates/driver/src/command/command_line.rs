//! The command line of this process, for a report that says how to run it again.

use super::secret::SECRETS;
use std::ffi::OsString;

/// Sets a parameter of a plan.
const SET: &str = "--set";

/// The command line as a shell takes it, with what may be secret left out.
pub(super) fn command_line(arguments: impl Iterator<Item = OsString>) -> String {
    let mut words: Vec<String> = vec!["driver".to_owned()];
    let (mut hides_next, mut sets_next) = (false, false);
    // The first is where the executable lies.
    for argument in arguments.skip(1) {
        // What is no text is shown as far as it is.
        let argument = argument.to_string_lossy().into_owned();
        let is_set = std::mem::replace(&mut sets_next, argument == SET);
        let word = if std::mem::replace(&mut hides_next, is_secret(&argument)) {
            "…".to_owned()
        } else if is_set {
            without_secret_parameter(&argument)
        } else {
            without_secret(argument)
        };
        // Only a word with a NUL cannot be quoted, and no argument has one.
        let word = stamp::mask(&word).into_owned();
        words.push(shlex::try_quote(&word).map_or_else(|_| word.clone(), std::borrow::Cow::into_owned));
    }
    words.join(" ")
}

/// Whether the next word is a secret.
fn is_secret(option: &str) -> bool {
    SECRETS.iter().any(|secret| option == secret.long || Some(option) == secret.short)
}

/// `--header=…` and `-HName: value` hold the value in the same word.
fn without_secret(argument: String) -> String {
    for secret in &SECRETS {
        if argument.strip_prefix(secret.long).is_some_and(|rest| rest.starts_with('=')) {
            return format!("{}=…", secret.long);
        }
        if let Some(short) = secret.short.filter(|&short| argument.starts_with(short) && argument != short) {
            return format!("{short}…");
        }
    }
    match argument.strip_prefix(SET).and_then(|rest| rest.strip_prefix('=')) {
        Some(parameter) => format!("{SET}={}", without_secret_parameter(parameter)),
        None => argument,
    }
}

/// `NAME=VALUE` without the value, where the name is that of a secret.
fn without_secret_parameter(parameter: &str) -> String {
    match parameter.split_once('=') {
        Some((name, _)) if stamp::is_secret_name(name) => format!("{name}=…"),
        _ => parameter.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_bytes_are_shown() {
        use std::os::unix::ffi::OsStringExt;
        let words = [b"driver".to_vec(), b"sweep".to_vec(), b"--out=r\xff".to_vec()].map(OsString::from_vec);
        assert_eq!(command_line(words.into_iter()), "driver sweep '--out=r\u{fffd}'");
    }

    #[test]
    fn it_can_be_given_to_a_shell_and_tells_no_secret() {
        let told = |words: &[&str]| command_line(words.iter().map(|&word| word.into()));
        assert_eq!(
            told(&["/opt/driver", "sweep", "--to", "5", "--pushserver-args", "--batch 1"]),
            "driver sweep --to 5 --pushserver-args '--batch 1'"
        );
        assert_eq!(
            told(&["driver", "sweep", "--redis", "redis://me:s3cret@host:6379"]),
            "driver sweep --redis 'redis://***@host:6379'"
        );
        let headers = [
            ["-H", "Authorization: s3cret"].as_slice(),
            &["-HCookie: s3cret"],
            &["--header=X: s3cret"],
            &["--header", "X: s3cret"],
            &["--otlp-header=X: s3cret"],
            &["--otlp-header", "X: s3cret"],
        ];
        for header in headers {
            let line = told(&[&["driver", "sweep"], header, &["--to", "2"]].concat());
            assert!(!line.contains("s3cret") && line.ends_with("--to 2"), "{line}");
        }
        assert_eq!(
            told(&["driver", "run", "a.yaml", "--set", "password=s3cret", "--set=api_key=s3cret", "--set", "users=5"]),
            "driver run a.yaml --set 'password=…' '--set=api_key=…' --set 'users=5'"
        );
        assert_eq!(
            told(&["driver", "sweep", "--otlp-header", "X: s3cret", "--to", "2"]),
            "driver sweep --otlp-header '…' --to 2"
        );
    }
}
