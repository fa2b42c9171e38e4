use std::sync::Arc;

use tokio::{
    sync::{mpsc, oneshot},
    task::JoinSet,
};

use super::fleet::Fleet;

/// The order to replace a slot's worker. The answer comes when the new worker serves, or is the
/// reason why the old one goes on.
pub(super) type Replace = oneshot::Sender<Result<(), String>>;

/// Replaces all workers, when it is asked to.
///
/// What is asked while a reload runs is one more reload after it, however often it is asked.
#[derive(Debug, Default)]
pub(super) struct Reload {
    places: Vec<Place>,
    wanted: bool,
    /// The reload that runs: one task, or none.
    running: JoinSet<()>,
}

/// Where to send the order to replace one worker.
#[derive(Clone, Debug)]
struct Place {
    fleet: Arc<Fleet>,
    slot: usize,
    orders: mpsc::Sender<Replace>,
}

impl Reload {
    /// Takes one more worker into the reloads. Gives the orders for it.
    pub(super) fn add(&mut self, fleet: &Arc<Fleet>, slot: usize) -> mpsc::Receiver<Replace> {
        let (orders, receiver) = mpsc::channel(1);
        self.places.push(Place {
            fleet: fleet.clone(),
            slot,
            orders,
        });
        receiver
    }

    /// An operator asks for a reload.
    pub(super) fn ask(&mut self) {
        self.wanted = true;
        if !self.is_started() {
            tracing::info!("reload asked for; it begins when the start is complete");
        } else if !self.running.is_empty() {
            tracing::info!("reload asked for; it begins when the one that runs is over");
        }
        self.begin();
    }

    /// Begins a reload if one is wanted and can begin now.
    pub(super) fn begin(&mut self) {
        if self.wanted && self.is_started() && self.running.is_empty() {
            self.wanted = false;
            self.running.spawn(replace_all(self.places.clone()));
        }
    }

    fn is_started(&self) -> bool {
        self.places.iter().all(|place| place.fleet.is_established())
    }

    /// Waits until the reload that runs is over, and begins the next one if it is wanted. `None`
    /// when there is none.
    pub(super) async fn over(&mut self) -> Option<()> {
        if let Err(error) = self.running.join_next().await? {
            tracing::error!(%error, "the reload broke off");
        }
        self.begin();
        Some(())
    }

    /// No more workers are replaced.
    pub(super) fn give_up(&mut self) {
        self.wanted = false;
        self.running.abort_all();
    }
}

/// Replaces one worker after the other, up to the first that cannot be replaced.
async fn replace_all(places: Vec<Place>) {
    tracing::info!(
        workers = places.len(),
        "reloading: the workers are replaced one after another"
    );
    for (replaced, place) in places.iter().enumerate() {
        let (order, answer) = oneshot::channel();
        // A slot that takes no order, or forgets it, ends with the program.
        if place.orders.send(order).await.is_err() {
            return;
        }
        match answer.await {
            Ok(Ok(())) => {}
            Ok(Err(cause)) => {
                tracing::error!(
                    server = place.fleet.name,
                    slot = place.slot,
                    cause,
                    replaced,
                    left = places.len() - replaced,
                    "the reload has failed: a worker could not be replaced; \
                     those that are left go on as they were"
                );
                return;
            }
            Err(_) => return,
        }
    }
    tracing::info!(workers = places.len(), "reloaded");
}
