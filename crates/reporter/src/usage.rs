//! Wrong usage that only shows after the command line has been parsed: it ends a program as clap does, with exit code 2.

use crate::ThresholdError;
use analysis::CompareError;
use clap::ArgMatches;
use clap::parser::ValueSource;
use stamp::{UsageError, WRONG_USAGE};
use std::path::Path;

/// The exit code that an error ends a program with: 2 where it is of usage, however it has been wrapped, else 1.
pub fn exit_code(error: &anyhow::Error) -> u8 {
    let is_usage = |cause: &(dyn std::error::Error + 'static)| {
        cause.is::<UsageError>()
            || matches!(cause.downcast_ref(), Some(ThresholdError::NoHop(_)))
            || matches!(cause.downcast_ref(), Some(CompareError::Labels { .. } | CompareError::Twice(_)))
    };
    if error.chain().any(is_usage) { WRONG_USAGE } else { 1 }
}

/// Options that do nothing in some cases, and are refused in these.
pub struct Idle {
    /// As clap knows them, with spaces between. Each is the name on the command line, with `_` for `-`.
    pub ids: &'static str,
    /// Whether they would do nothing.
    pub when: fn(&ArgMatches) -> bool,
    /// Why, and what to do.
    pub why: &'static str,
}

/// Refuses the options on the command line that would do nothing. What stands in the environment is for many commands, and is left alone.
///
/// # Errors
/// Names each of them, and why.
pub fn refuse_idle(matches: &ArgMatches, table: &[Idle]) -> Result<(), UsageError> {
    let mut told = Vec::new();
    for idle in table.iter().filter(|idle| (idle.when)(matches)) {
        let given = idle.ids.split(' ').filter(|id| is_given(matches, id));
        told.extend(given.map(|id| format!("--{} would do nothing: {}", id.replace('_', "-"), idle.why)));
    }
    if told.is_empty() { Ok(()) } else { Err(UsageError(told.join("\n"))) }
}

/// Whether an argument stands on the command line.
pub fn is_given(matches: &ArgMatches, id: &str) -> bool {
    source(matches, id) == Some(ValueSource::CommandLine)
}

/// Whether an argument has a value other than its default.
pub fn is_set(matches: &ArgMatches, id: &str) -> bool {
    matches!(source(matches, id), Some(ValueSource::CommandLine | ValueSource::EnvVariable))
}

fn source(matches: &ArgMatches, id: &str) -> Option<ValueSource> {
    // Asked first, as clap panics where a command has no such argument.
    matches.try_contains_id(id).is_ok_and(|there| there).then(|| matches.value_source(id)).flatten()
}

/// Where what is named on the command line lies in files, the log store is not asked.
fn needs_no_store(matches: &ArgMatches) -> bool {
    let named = |id: &str, is_here: fn(&Path) -> bool| {
        let given = is_given(matches, id).then(|| matches.get_raw(id)).flatten();
        given.is_some_and(|mut names| names.all(|name| is_here(Path::new(name))))
    };
    // A report is made from a file; what is compared may be folders of reports, too.
    named("sweep", Path::is_file) || named("sweeps", Path::exists)
}

/// What `report` and `compare` refuse.
pub const IDLE_IN_REPORTS: &[Idle] = &[Idle {
    ids: "redis redis_user redis_password_file redis_ca",
    when: needs_no_store,
    why: "what is to be read lies in files here, and not in a log store: leave it out",
}];

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
