//! The end of a command that reads and writes files: by a signal, at any moment.

use tokio::signal::unix::{SignalKind, signal};

/// The exit code of a command that a signal ended, as shells know it.
pub const INTERRUPTED: u8 = 130;

/// From now on SIGINT and SIGTERM end the process at once, with exit code 130. Every file is then as it was, or whole and new. It takes a thread of
/// its own, as the work does not always leave time to others.
///
/// # Errors
/// When the handlers cannot be installed.
pub fn exit_on_signal() -> std::io::Result<()> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let (mut interrupt, mut terminate) = {
        let _within = runtime.enter();
        (signal(SignalKind::interrupt())?, signal(SignalKind::terminate())?)
    };
    std::thread::Builder::new().name("signals".to_owned()).spawn(move || {
        runtime.block_on(async {
            tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
        });
        std::process::exit(i32::from(INTERRUPTED));
    })?;
    Ok(())
}
