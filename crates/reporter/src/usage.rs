//! Wrong usage that only shows after the command line has been parsed: it ends a program as clap does, with exit code 2.

use crate::ThresholdError;
use analysis::CompareError;
use clap::ArgMatches;
use clap::parser::ValueSource;
use stamp::{UsageError, WRONG_USAGE};
use std::path::Path;

/// The exit code that an error ends a program with: 2 where it is of usage, however it has been wrapped, else 1.
#[must_use]
pub fn exit_code(error: &anyhow::Error) -> u8 {
    let is_usage = |cause: &(dyn std::error::Error + 'static)| {
        cause.is::<UsageError>()
            || matches!(cause.downcast_ref(), Some(ThresholdError::NoHop(_)))
            || matches!(cause.downcast_ref(), Some(CompareError::Labels { .. } | CompareError::Twice(_)))
    };
    if error.chain().any(is_usage) { WRONG_USAGE } else { 1 }
}

/// An option that does nothing in some cases, and is refused in these.
pub struct Idle {
    /// As clap knows it: the name of its field.
    pub id: &'static str,
    /// As people know it.
    pub option: &'static str,
    /// Why it would do nothing, and what to do; absent where it does something.
    pub why: fn(&ArgMatches) -> Option<&'static str>,
}

/// Refuses the options on the command line that would do nothing. What stands in the environment is for many commands, and is left alone.
///
/// # Errors
/// Names each of them, and why.
pub fn refuse_idle(matches: &ArgMatches, table: &[Idle]) -> Result<(), UsageError> {
    let idle = table.iter().filter(|idle| is_given(matches, idle.id));
    let told = idle.filter_map(|idle| Some(format!("{} would do nothing: {}", idle.option, (idle.why)(matches)?)));
    let told: Vec<String> = told.collect();
    if told.is_empty() { Ok(()) } else { Err(UsageError(told.join("\n"))) }
}

/// Whether an argument stands on the command line.
#[must_use]
pub fn is_given(matches: &ArgMatches, id: &str) -> bool {
    source(matches, id) == Some(ValueSource::CommandLine)
}

/// Whether an argument has a value other than its default.
#[must_use]
pub fn is_set(matches: &ArgMatches, id: &str) -> bool {
    matches!(source(matches, id), Some(ValueSource::CommandLine | ValueSource::EnvVariable))
}

fn source(matches: &ArgMatches, id: &str) -> Option<ValueSource> {
    // Asked first, as clap panics where a command has no such argument.
    matches.try_contains_id(id).is_ok_and(|there| there).then(|| matches.value_source(id)).flatten()
}

/// Where what is named on the command line lies in files, the log store is not asked.
fn needs_no_store(matches: &ArgMatches) -> Option<&'static str> {
    let named = |id: &str, is_here: fn(&Path) -> bool| {
        let given = is_given(matches, id).then(|| matches.get_raw(id)).flatten();
        given.is_some_and(|mut names| names.all(|name| is_here(Path::new(name))))
    };
    // A report is made from a file; what is compared may be folders of reports, too.
    let is_here = named("sweep", Path::is_file) || named("sweeps", Path::exists);
    is_here.then_some("what is to be read lies in files here, and not in a log store: leave it out")
}

/// What `report` and `compare` refuse.
pub const IDLE_IN_REPORTS: &[Idle] = &[
    Idle { id: "redis", option: "--redis", why: needs_no_store },
    Idle { id: "redis_user", option: "--redis-user", why: needs_no_store },
    Idle { id: "redis_password_file", option: "--redis-password-file", why: needs_no_store },
    Idle { id: "redis_ca", option: "--redis-ca", why: needs_no_store },
];

#[cfg(test)]
mod tests {
    use super::*;
    use anyhow::Context;

    #[test]
    fn usage_is_found_beneath_what_wraps_it() {
        let wrapped = Err::<(), _>(UsageError("x".to_owned())).context("in a sweep").unwrap_err();
        assert_eq!(exit_code(&wrapped), 2);
        assert_eq!(exit_code(&CompareError::Labels { labels: 1, sweeps: 2 }.into()), 2);
        assert_eq!(exit_code(&anyhow::anyhow!("x")), 1);
    }
}
