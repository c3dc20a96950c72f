//! What people and scripts see: results on stdout, everything else on stderr.
#![allow(clippy::print_stdout, clippy::print_stderr)]

use std::io::Write;

/// Prints one line of results, at once: a reader of a pipe sees it when it is there. A reader that has gone away, such
/// as `head`, is no error.
pub(crate) fn result(line: &str) {
    let mut stdout = std::io::stdout().lock();
    let _ = writeln!(stdout, "{line}").and_then(|()| stdout.flush());
}

/// Prints one line about what happens.
pub(crate) fn note(line: &str) {
    eprintln!("{line}");
}

/// Prints an error with its causes, one line each, leaving out causes that their parent has told already.
pub(crate) fn error(error: &anyhow::Error) {
    eprintln!("error: {error}");
    let mut told = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !told.contains(&cause) {
            eprintln!("  because: {cause}");
            told = cause;
        }
    }
}
