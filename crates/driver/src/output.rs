//! What people and scripts see: results on stdout, everything else on stderr.

use indicatif::ProgressBar;
use std::io::{ErrorKind, Write};
use std::sync::{Mutex, OnceLock, PoisonError};

/// Why results could not be printed, where they could not.
static UNPRINTED: OnceLock<String> = OnceLock::new();

/// The bar that is on the terminal, where there is one.
static BAR: Mutex<Option<ProgressBar>> = Mutex::new(None);

/// Lines are printed above this bar from now on, without tearing it.
pub(crate) fn print_above(bar: Option<ProgressBar>) {
    *BAR.lock().unwrap_or_else(PoisonError::into_inner) = bar;
}

/// Without what a terminal would obey: names and answers of others may hold anything.
fn harmless(line: &str) -> String {
    line.replace(|c: char| c.is_control() && c != '\n' && c != '\t', "\u{fffd}")
}

fn above_the_bar(print: impl FnOnce()) {
    match &*BAR.lock().unwrap_or_else(PoisonError::into_inner) {
        Some(bar) => bar.suspend(print),
        None => print(),
    }
}

/// Prints one line of results, at once: a reader of a pipe sees it when it is there. A reader that has gone away, such
/// as `head`, is no error; what else is wrong with it is told at the [end](unprinted).
pub(crate) fn result(line: &str) {
    let line = harmless(line);
    above_the_bar(|| {
        let mut stdout = std::io::stdout().lock();
        match writeln!(stdout, "{line}").and_then(|()| stdout.flush()) {
            Err(error) if error.kind() != ErrorKind::BrokenPipe => {
                let _ = UNPRINTED.set(error.to_string());
            }
            _ => {}
        }
    });
}

/// Why results were not printed; absent where all were.
pub(crate) fn unprinted() -> Option<&'static str> {
    UNPRINTED.get().map(String::as_str)
}

/// Prints one line about what happens.
pub(crate) fn note(line: &str) {
    let line = harmless(line);
    above_the_bar(|| {
        // Nobody is left to be told where this fails.
        let _ = writeln!(std::io::stderr(), "{line}");
    });
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_terminal_obeys_no_name() {
        assert_eq!(harmless("a\tb\n\u{1b}[31mred\u{9b}2J"), "a\tb\n\u{fffd}[31mred\u{fffd}2J");
    }
}
