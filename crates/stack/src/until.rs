//! What a test waits for.

use std::time::Duration;

/// For what is bound to come about, on a machine however busy.
const PATIENCE: Duration = Duration::from_secs(30);

/// Polls until something has come about.
///
/// # Panics
/// When it has not within half a minute.
pub async fn until(mut come: impl AsyncFnMut() -> bool) {
    let polling = async {
        while !come().await {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(tokio::time::timeout(PATIENCE, polling).await.is_ok(), "it has not come about within {PATIENCE:?}");
}
