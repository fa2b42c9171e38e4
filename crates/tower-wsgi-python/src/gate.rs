//! How many requests run at once, where no pool of threads limits them: the others wait in a bounded queue.

use std::{
    convert::Infallible,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::Duration,
};

use http::{Request, Response};
use tokio::{
    sync::{OwnedSemaphorePermit, Semaphore},
    time::timeout,
};
use tower_service::Service;
use tower_wsgi::{Body, Rejection};

/// The maximum number of requests that wait for a place, and the default of those that wait for a thread of a pool.
pub(crate) const MAX_QUEUED: usize = 1024;

/// The maximum time that a request waits for a place, as for a thread of a pool.
const QUEUE_TIMEOUT: Duration = Duration::from_secs(30);

/// Calls its service when there is a place for the request, which finds the [`Place`] in its extensions. If too many
/// requests wait, or one too long, the response is 503.
#[derive(Clone, Debug)]
pub(crate) struct Gate<S> {
    inner: S,
    places: Places,
}

/// The places of a gate, and those who wait for them.
#[derive(Clone, Debug)]
pub(crate) struct Places {
    free: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    refused: Arc<AtomicU64>,
}

/// The place of one request, free for another when the last clone is dropped.
#[derive(Clone, Debug)]
pub(crate) struct Place(
    #[allow(dead_code, reason = "dropping it frees the place")] Arc<OwnedSemaphorePermit>,
);

/// Counts a request while it waits.
struct Waiting(Arc<AtomicUsize>);

impl Places {
    pub(crate) fn new(count: usize) -> Self {
        Self {
            free: Arc::new(Semaphore::new(count)),
            waiting: Arc::default(),
            refused: Arc::default(),
        }
    }

    /// The number of requests that wait.
    pub(crate) fn waiting(&self) -> usize {
        self.waiting.load(Relaxed)
    }

    /// The number of requests that got no place.
    pub(crate) fn refused(&self) -> u64 {
        self.refused.load(Relaxed)
    }

    async fn take(&self) -> Result<Place, Rejection> {
        let free = Arc::clone(&self.free);
        let permit = match Arc::clone(&free).try_acquire_owned() {
            Ok(permit) => permit,
            Err(_) => {
                let _waiting = Waiting::count(&self.waiting).ok_or(Rejection::QueueFull)?;
                let permit = timeout(QUEUE_TIMEOUT, free.acquire_owned()).await;
                let permit = permit.map_err(|_| Rejection::QueueTimeout)?;
                permit.map_err(|_| Rejection::Draining)?
            }
        };
        Ok(Place(Arc::new(permit)))
    }
}

impl Waiting {
    /// `None` if too many wait.
    fn count(waiting: &Arc<AtomicUsize>) -> Option<Self> {
        let this = Self(Arc::clone(waiting));
        (waiting.fetch_add(1, Relaxed) < MAX_QUEUED).then_some(this)
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}

impl<S> Gate<S> {
    pub(crate) fn new(inner: S, places: Places) -> Self {
        Self { inner, places }
    }
}

impl<S, B, C> Service<Request<B>> for Gate<S>
where
    S: Service<Request<B>, Response = Response<C>, Error = Infallible> + Clone + Send + 'static,
    S::Future: Send,
    B: Send + 'static,
    C: http_body::Body<Data = bytes::Bytes> + Send + 'static,
    C::Error: Into<tower_wsgi::BoxError>,
{
    type Response = Response<Body>;
    type Error = Infallible;
    type Future = Pin<Box<dyn Future<Output = Result<Response<Body>, Infallible>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, mut request: Request<B>) -> Self::Future {
        let (mut inner, places) = (self.inner.clone(), self.places.clone());
        Box::pin(async move {
            match places.take().await {
                Ok(place) => {
                    request.extensions_mut().insert(place);
                    let response = inner.call(request).await;
                    response.map(|response| response.map(Body::new))
                }
                Err(rejection) => {
                    places.refused.fetch_add(1, Relaxed);
                    Ok(rejection.into_response())
                }
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use tower::{ServiceExt as _, service_fn};

    use super::*;

    /// A service that passes each place on to the test.
    fn gate(
        count: usize,
    ) -> (
        Gate<
            impl Service<Request<()>, Response = Response<Body>, Error = Infallible, Future: Send>
            + Clone,
        >,
        std::sync::mpsc::Receiver<Place>,
    ) {
        let (sender, places) = std::sync::mpsc::sync_channel(8);
        let service = service_fn(move |mut request: Request<()>| {
            let sender = sender.clone();
            async move {
                if let Some(place) = request.extensions_mut().remove() {
                    let _ = sender.send(place);
                }
                Ok(Response::new(Body::empty()))
            }
        });
        (Gate::new(service, Places::new(count)), places)
    }

    #[tokio::test(start_paused = true)]
    async fn a_request_waits_for_a_place_and_not_for_ever() {
        let (gate, places) = gate(1);
        let first = gate.clone().oneshot(Request::new(())).await.unwrap();
        assert_eq!(first.status(), StatusCode::OK);
        let place = places.recv().unwrap();
        let second = tokio::spawn(gate.clone().oneshot(Request::new(())));
        tokio::task::yield_now().await;
        assert_eq!(gate.places.waiting(), 1);
        drop(place);
        assert_eq!(second.await.unwrap().unwrap().status(), StatusCode::OK);
        let _place = places.recv().unwrap();
        let third = gate.clone().oneshot(Request::new(())).await.unwrap();
        assert_eq!(third.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!((gate.places.waiting(), gate.places.refused()), (0, 1));
    }

    #[tokio::test(start_paused = true)]
    async fn beyond_the_queue_a_request_is_refused_at_once() {
        let (gate, _places) = gate(0);
        let waiting: Vec<_> = (0..MAX_QUEUED)
            .map(|_| tokio::spawn(gate.clone().oneshot(Request::new(()))))
            .collect();
        while gate.places.waiting() < MAX_QUEUED {
            tokio::task::yield_now().await;
        }
        let refused =
            tokio::time::timeout(QUEUE_TIMEOUT / 2, gate.clone().oneshot(Request::new(())));
        let refused = refused.await.unwrap().unwrap();
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(refused.headers()["retry-after"], "1");
        for request in waiting {
            request.abort();
        }
    }
}
