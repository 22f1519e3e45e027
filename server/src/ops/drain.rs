//! Draining: no more connections, and those that are here go when nothing is due on them.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

use super::desk::Desk;
use crate::core::Core;
use crate::net::listener::Connections;

/// Waits until the operator has asked for the server to drain, and everybody who was here has come to rest and gone, or
/// had the time that was asked for.
pub async fn drained(
    desk: &Desk,
    core: Arc<Core>,
    connections: &Connections,
    acceptors: &TaskTracker,
    stop: &CancellationToken,
) {
    let mut drains = desk.drains();
    if drains.wait_for(Option::is_some).await.is_err() {
        return std::future::pending().await;
    }
    tracing::info!("draining: no more connections are taken");
    stop.cancel();
    // Whoever sees somebody go, and comes again, finds nobody who listens.
    acceptors.close();
    acceptors.wait().await;
    core.draining.store(true, Ordering::Relaxed);
    // Whoever is quiet has to be told to look.
    connections.live.iter().for_each(|entry| entry.0.rouse());
    connections.tasks.close();
    let began = core.clock.now().up;
    loop {
        let grace = drains.borrow_and_update().unwrap_or_default();
        let left = (began + grace).saturating_sub(core.clock.now().up);
        tokio::select! {
            () = connections.tasks.wait() => return,
            () = tokio::time::sleep(left) => return,
            // Somebody has less patience.
            Ok(()) = drains.changed() => {}
        }
    }
}
