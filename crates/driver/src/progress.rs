//! What a person sees while a sweep runs: a bar on stderr, which is silent where that is no terminal.

use crate::output;
use indicatif::{ProgressBar, ProgressStyle};
use load::Live;
use std::time::Duration;

/// The progress of a sweep or of one load.
#[derive(Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    label: String,
}

impl Progress {
    /// A bar over this much load time.
    pub(crate) fn new(total: Duration) -> Self {
        let bar = ProgressBar::new(milliseconds(total));
        // The template is a constant; were it wrong, the default style would serve.
        if let Ok(style) = ProgressStyle::with_template("{bar:24} {elapsed} {msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(250));
        output::print_above(Some(bar.clone()));
        Self { bar, label: String::new() }
    }

    /// Names what happens now.
    pub(crate) fn stage(&mut self, label: String) {
        self.bar.set_message(label.clone());
        self.label = label;
    }

    /// Shows the last moments of the load and advances by `period`.
    pub(crate) fn live(&self, live: &Live, period: Duration) {
        self.bar.inc(milliseconds(period));
        let label = &self.label;
        if live.requests_per_sec <= 0.0 {
            return self.bar.set_message(format!("{label}: no request accepted"));
        }
        let [p50, p99] = [live.p50_us, live.p99_us].map(|us| us as f64 / 1e3);
        self.bar
            .set_message(format!("{label}: {:.0} requests/s, p50 {p50:.2} ms, p99 {p99:.2} ms", live.requests_per_sec));
    }

    /// Removes the bar.
    pub(crate) fn finish(&self) {
        output::print_above(None);
        self.bar.finish_and_clear();
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        self.finish();
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
