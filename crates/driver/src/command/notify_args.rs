//! Arguments for who is told that a run has ended (docs/history.md).

use crate::output;
use clap::Args;
use experiment::Plan;
use notify::{Address, Notify, Targets};
use plan::NotifyWhen;
use stamp::{Secret, UsageError, ensure_usage};
use std::path::Path;
use tokio_util::sync::CancellationToken;

/// The variables that hold the addresses: those are secrets, and command lines are seen by all.
const SLACK: &str = "STAMPEDE_SLACK_URL";
const URL: &str = "STAMPEDE_NOTIFY_URL";

#[derive(Debug, Clone, Args)]
pub(super) struct NotifyArgs {
    /// When to send a message about the run, separated by commas: to the Slack webhook in `STAMPEDE_SLACK_URL`, as JSON to the address in
    /// `STAMPEDE_NOTIFY_URL`, or to those of the plan [default: failed,changed]
    #[arg(long, value_name = "WHEN", value_enum, value_delimiter = ',')]
    notify_when: Vec<NotifyWhen>,

    /// The address under which others see the folder for reports, for links in messages
    #[arg(long, value_name = "URL")]
    notify_link: Option<String>,
}

impl NotifyArgs {
    /// Who is told about this plan, with what the history in `folder` says of the runs before; nothing where nobody is.
    ///
    /// # Errors
    /// A [`UsageError`] when an address is none, which is not quoted, or when it is said when to tell, and not whom.
    pub(super) fn open(
        &self,
        plan: &Plan,
        folder: &Path,
        stop: &CancellationToken,
    ) -> Result<Option<Notify>, UsageError> {
        let of_plan = &plan.notify;
        let when = &self.notify_when;
        let usual = [NotifyWhen::Failed, NotifyWhen::Changed];
        let chosen = [&when[..], &of_plan.when, &usual].into_iter().find(|when| !when.is_empty());
        let targets = Targets {
            slack: address(SLACK, of_plan.slack.as_ref())?,
            url: address(URL, of_plan.url.as_ref())?,
            when: chosen.unwrap_or_default().to_vec(),
        };
        let nobody =
            || format!("--notify-when: there is nobody to tell: set {SLACK} or {URL}, or `notify` in the plan");
        ensure_usage(when.is_empty() || !targets.is_empty(), nobody)?;
        Ok((!targets.is_empty()).then(|| Notify::new(targets, folder, self.notify_link.clone(), stop, output::note)))
    }
}

/// The address of the environment, or else of the plan. An empty one is none, as environments can hardly leave a variable out.
fn address(variable: &str, of_plan: Option<&Secret>) -> Result<Option<Address>, UsageError> {
    let fault =
        |name: &str| UsageError(format!("{name}: this is no address to send messages to: set it to https://host/path"));
    match (std::env::var(variable).ok().filter(|address| !address.trim().is_empty()), of_plan) {
        (Some(address), _) => address.parse().map(Some).map_err(|_| fault(variable)),
        (None, Some(address)) => address.reveal().parse().map(Some).map_err(|_| fault("notify")),
        (None, None) => Ok(None),
    }
}
