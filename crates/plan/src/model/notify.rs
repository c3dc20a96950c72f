//! Who is told when a run has ended.

use clap::ValueEnum;
use stamp::Secret;

/// Who is told, and when. The addresses are secrets: they come from the environment alone.
#[derive(Debug, Clone, Default)]
pub struct Notify {
    /// An incoming webhook of Slack.
    pub slack: Option<Secret>,
    /// Whoever takes JSON.
    pub url: Option<Secret>,
    /// When; empty where the plan does not say.
    pub when: Vec<NotifyWhen>,
}

/// When somebody is told.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum NotifyWhen {
    /// After each run.
    Always,
    /// Where a threshold was missed, or nothing was measured.
    Failed,
    /// Where the verdict or the capacity differs from the run before, and after the first run.
    Changed,
}

impl NotifyWhen {
    /// All of them, as they are written.
    pub const ALL: [(&'static str, Self); 3] =
        [("always", Self::Always), ("failed", Self::Failed), ("changed", Self::Changed)];
}

impl PartialEq for Notify {
    fn eq(&self, other: &Self) -> bool {
        let told = |one: &Self| [&one.slack, &one.url].map(|address| address.as_ref().map(|it| it.reveal().to_owned()));
        told(self) == told(other) && self.when == other.when
    }
}
