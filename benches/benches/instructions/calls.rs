//! The calls that are counted, prepared before the counting begins.

use std::{fmt, hint::black_box};

use benches::{request, runtime};
use bytes::Bytes;
use http::{Request, Response};
use http_body_util::BodyExt as _;
use tower::{Service, ServiceExt as _};
use tower_wsgi::Body;

use crate::CALLS;

/// Prepared calls.
pub(crate) struct Calls(Box<dyn FnMut()>);

impl Calls {
    /// Calls of a service with the plain request, each with its response read to the end.
    pub(crate) fn of<S, B>(service: S) -> Self
    where
        S: Service<Request<Body>, Response = Response<B>> + Clone + 'static,
        B: http_body::Body<Data = Bytes>,
    {
        Self::with(service, request)
    }

    /// Calls with another request.
    pub(crate) fn with<S, B>(service: S, request: impl Fn() -> Request<Body>) -> Self
    where
        S: Service<Request<Body>, Response = Response<B>> + Clone + 'static,
        B: http_body::Body<Data = Bytes>,
    {
        let runtime = runtime(1);
        runtime.block_on(call(&service, request()));
        let mut requests: Vec<_> = (0..CALLS).map(|_| request()).collect();
        Self(Box::new(move || {
            runtime.block_on(async {
                for request in requests.drain(..) {
                    call(&service, request).await;
                }
            });
        }))
    }

    /// Calls that this makes.
    pub(crate) fn made_by(make: impl FnMut() + 'static) -> Self {
        Self(Box::new(make))
    }

    /// Makes the calls, and returns them so that they are dropped after the counting.
    pub(crate) fn make(mut self) -> Self {
        (self.0)();
        self
    }
}

pub(crate) async fn call<S, B>(service: &S, request: Request<Body>)
where
    S: Service<Request<Body>, Response = Response<B>> + Clone,
    B: http_body::Body<Data = Bytes>,
{
    if let Ok(response) = service.clone().oneshot(request).await {
        black_box(response.into_body().collect().await.is_ok());
    }
}

impl fmt::Debug for Calls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Calls").finish_non_exhaustive()
    }
}
