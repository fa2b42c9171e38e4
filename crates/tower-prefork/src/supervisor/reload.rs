use std::sync::Arc;

use tokio::sync::{mpsc, oneshot};

use super::fleet::Fleet;

/// The order to replace a slot's worker. The answer comes when the new worker serves, or is the
/// reason why the old one goes on.
pub(super) type Replace = oneshot::Sender<Result<(), String>>;

/// Where to send the order to replace one worker.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) fleet: Arc<Fleet>,
    pub(super) slot: usize,
    pub(super) orders: mpsc::Sender<Replace>,
}

/// How far a reload has come.
#[derive(Debug)]
pub(super) struct Reloaded {
    pub(super) replaced: usize,
    /// Why it went no further.
    pub(super) failure: Option<String>,
}

impl Place {
    /// Has the worker replaced. The error is the reason why the old one goes on.
    pub(super) async fn replace(&self) -> Result<(), String> {
        let (order, answer) = oneshot::channel();
        if self.orders.send(order).await.is_ok()
            && let Ok(answer) = answer.await
        {
            return answer;
        }
        // A slot that takes no order, or forgets it, has ended: there is nothing to replace.
        Ok(())
    }
}

/// Replaces one worker after the other, up to the first that cannot be replaced.
pub(super) async fn replace_all(places: Vec<Place>) -> Reloaded {
    tracing::info!(
        workers = places.len(),
        "reloading: the workers are replaced one after another"
    );
    for (replaced, place) in places.iter().enumerate() {
        if let Err(cause) = place.replace().await {
            tracing::error!(
                server = place.fleet.name,
                slot = place.slot,
                cause,
                replaced,
                left = places.len() - replaced,
                "the reload has failed: a worker could not be replaced; \
                 those that are left go on as they were"
            );
            let slot = place.slot;
            return Reloaded {
                replaced,
                failure: Some(format!("worker {slot} could not be replaced: {cause}")),
            };
        }
    }
    tracing::info!(workers = places.len(), "reloaded");
    Reloaded {
        replaced: places.len(),
        failure: None,
    }
}
