//! The end that a program asks of its own server.

use std::{
    fmt,
    future::{Future, pending},
    pin::Pin,
};

/// Ready when the program has a reason to stop: see [`Supervisor::stop_when`](crate::Supervisor::stop_when).
#[derive(Default)]
pub(crate) struct StopRequest(Option<Pin<Box<dyn Future<Output = String> + Send>>>);

impl StopRequest {
    pub(crate) fn new(reason: impl Future<Output = String> + Send + 'static) -> Self {
        Self(Some(Box::pin(reason)))
    }

    /// Waits for the reason, which comes once. Cancel safe.
    pub(crate) async fn recv(&mut self) -> String {
        let Some(reason) = &mut self.0 else {
            return pending().await;
        };
        let reason = reason.await;
        self.0 = None;
        reason
    }
}

impl fmt::Debug for StopRequest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StopRequest")
            .field(&self.0.is_some())
            .finish()
    }
}

#[cfg(test)]
mod tests {
    use tokio_test::{assert_pending, assert_ready_eq, task::spawn};

    use super::*;

    #[test]
    fn a_reason_comes_once() {
        let mut request = StopRequest::new(async { "worn out".to_owned() });
        assert_ready_eq!(spawn(request.recv()).poll(), "worn out");
        assert_pending!(spawn(request.recv()).poll());
        assert_pending!(spawn(StopRequest::default().recv()).poll());
    }

    #[test]
    fn who_stops_waiting_misses_nothing() {
        let (sender, reason) = tokio::sync::oneshot::channel();
        let mut request = StopRequest::new(async { reason.await.unwrap() });
        assert_pending!(spawn(request.recv()).poll());
        sender.send("later".to_owned()).unwrap();
        assert_ready_eq!(spawn(request.recv()).poll(), "later");
    }
}
