//! The room: what is said in it reaches the clients of this worker, and through the hub those of all others.

use std::{
    collections::VecDeque,
    sync::{Arc, Mutex, PoisonError},
};

use tokio::sync::{broadcast, mpsc};

use crate::hub::Hub;

/// The number of messages that a worker remembers for the clients that come.
const REMEMBERED: usize = 50;

/// The number of messages that a client may be behind, before it is disconnected.
const BEHIND: usize = 256;

/// The number of messages that may wait for the hub. Above it, clients that speak wait.
const WAITING: usize = 256;

/// Clones are handles of the same room.
#[derive(Clone, Debug)]
pub(crate) struct Room {
    local: Arc<Local>,
    to_others: mpsc::Sender<Arc<str>>,
}

/// The clients of this worker.
#[derive(Debug)]
struct Local {
    messages: broadcast::Sender<Arc<str>>,
    latest: Mutex<VecDeque<Arc<str>>>,
}

impl Room {
    /// Opens the room, on tokio's runtime.
    pub(crate) fn open(hub: Hub) -> Self {
        let local = Arc::new(Local {
            messages: broadcast::Sender::new(BEHIND),
            latest: Mutex::default(),
        });
        let (to_others, said) = mpsc::channel(WAITING);
        tokio::spawn(exchange(hub, local.clone(), said));
        Self { local, to_others }
    }

    /// The latest messages, and those that follow them.
    pub(crate) fn enter(&self) -> (Vec<Arc<str>>, broadcast::Receiver<Arc<str>>) {
        // Under the lock, so that no message is missing and none comes twice.
        let latest = self
            .local
            .latest
            .lock()
            .unwrap_or_else(PoisonError::into_inner);
        let following = self.local.messages.subscribe();
        (latest.iter().cloned().collect(), following)
    }

    /// Says something to all.
    pub(crate) async fn say(&self, message: String) {
        let message: Arc<str> = message.into();
        self.local.hear(message.clone());
        // It fails when the worker ends.
        let _ = self.to_others.send(message).await;
    }
}

impl Local {
    fn hear(&self, message: Arc<str>) {
        let mut latest = self.latest.lock().unwrap_or_else(PoisonError::into_inner);
        if latest.len() == REMEMBERED {
            latest.pop_front();
        }
        latest.push_back(message.clone());
        // It fails when there is no client.
        let _ = self.messages.send(message);
    }
}

/// Exchanges messages with the other workers, until the room is closed.
async fn exchange(hub: Hub, local: Arc<Local>, mut said: mpsc::Receiver<Arc<str>>) {
    let send = async {
        while let Some(message) = said.recv().await {
            hub.send(&message).await;
        }
    };
    let receive = async {
        loop {
            match hub.receive().await {
                Ok(message) => local.hear(message.into()),
                Err(error) => tracing::warn!(%error, "cannot read a message of another worker"),
            }
        }
    };
    tokio::select! {
        () = send => {}
        () = receive => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_client_that_comes_later_gets_the_latest_messages() {
        let directory = tempfile::tempdir().unwrap();
        let room = Room::open(Hub::join(&directory.path().join("hub")).unwrap());
        for number in 0..REMEMBERED + 10 {
            room.say(number.to_string()).await;
        }
        let (latest, mut following) = room.enter();
        assert_eq!(latest.len(), REMEMBERED);
        assert_eq!(&*latest[0], "10");
        room.say("next".into()).await;
        assert_eq!(&*following.recv().await.unwrap(), "next");
    }
}
