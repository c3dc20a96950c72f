//! What a person sees while a file or a report is made: a bar on stderr, which is silent where that is no terminal.

use indicatif::{ProgressBar, ProgressStyle};

/// The progress of something whose size is known.
#[derive(Debug)]
pub(crate) struct Progress(ProgressBar);

impl Progress {
    /// A bar over this many stamps.
    pub(crate) fn stamps(what: &'static str, total: u64) -> Self {
        Self::new(what, total, "{msg} {bar:24} {human_pos} of {human_len} stamps, {eta} left")
    }

    /// A bar over this many bytes of a file.
    pub(crate) fn bytes(what: &'static str, total: u64) -> Self {
        Self::new(what, total, "{msg} {bar:24} {bytes} of {total_bytes}, {eta} left")
    }

    /// A bar over this many lists of stamps: one for each stage of each load.
    pub(crate) fn lists(what: &'static str, total: u64) -> Self {
        Self::new(what, total, "{msg} {bar:24} {pos} of {len} lists of stamps, {eta} left")
    }

    fn new(what: &'static str, total: u64, template: &str) -> Self {
        let bar = ProgressBar::new(total);
        // The template is a constant; were it wrong, the default style would serve.
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        bar.set_message(what);
        Self(bar)
    }

    /// So much is done.
    pub(crate) fn set(&self, done: u64) {
        self.0.set_position(done);
    }

    /// One more is done.
    pub(crate) fn step(&self) {
        self.0.inc(1);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}
