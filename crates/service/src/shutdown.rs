//! The end of a process: the first signal asks for it, the second one insists.

use tokio::signal::unix::{SignalKind, signal};
use tokio_util::sync::CancellationToken;
use tracing::{error, info};

/// A token that is cancelled by the first SIGINT or SIGTERM. The second ends the process at once with status 130.
///
/// # Errors
/// When the handlers cannot be installed.
pub fn shutdown_on_signal() -> std::io::Result<CancellationToken> {
    let token = CancellationToken::new();
    let (mut interrupt, mut terminate) = (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?);
    let cancelled = token.clone();
    tokio::spawn(async move {
        let mut next = async || tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} };
        next().await;
        // First of all: the log may go to a pipe that nobody reads any more.
        cancelled.cancel();
        info!("stopping: finishing what was accepted; a second signal ends at once");
        next().await;
        error!("ended at once by a second signal");
        std::process::exit(130);
    });
    Ok(token)
}
