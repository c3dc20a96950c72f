//! What people and scripts see: results on stdout, everything else on stderr.

use std::io::{ErrorKind, Write};
use std::sync::OnceLock;

/// Why results could not be printed, where they could not.
static UNPRINTED: OnceLock<String> = OnceLock::new();

/// Prints one line of results, at once: a reader of a pipe sees it when it is there. A reader that has gone away, such
/// as `head`, is no error; what else is wrong with it is told at the [end](unprinted).
pub(crate) fn result(line: &str) {
    let mut stdout = std::io::stdout().lock();
    match writeln!(stdout, "{line}").and_then(|()| stdout.flush()) {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => {
            let _ = UNPRINTED.set(error.to_string());
        }
        _ => {}
    }
}

/// Why results were not printed; absent where all were.
pub(crate) fn unprinted() -> Option<&'static str> {
    UNPRINTED.get().map(String::as_str)
}

/// Prints one line about what happens.
pub(crate) fn note(line: &str) {
    // Nobody is left to be told where this fails.
    let _ = writeln!(std::io::stderr(), "{line}");
}

/// Prints an error with its causes, one line each, leaving out causes that their parent has told already.
pub(crate) fn error(error: &anyhow::Error) {
    note(&format!("error: {error}"));
    let mut told = error.to_string();
    for cause in error.chain().skip(1).map(ToString::to_string) {
        if !told.contains(&cause) {
            note(&format!("  because: {cause}"));
            told = cause;
        }
    }
}
