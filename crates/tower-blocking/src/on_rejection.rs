//! The hook `on_rejection` of a layer.

use std::{fmt, sync::Arc};

use bytes::Bytes;
use http::Response;

use crate::{Body, BoxError, Rejection};

/// The hook of a layer that makes the response to a rejection.
#[derive(Clone, Default)]
// One pointer, as services and futures that hold it are moved.
pub(crate) struct OnRejection(Option<Arc<Box<Respond>>>);

type Respond = dyn Fn(Rejection) -> Response<Body> + Send + Sync;

impl OnRejection {
    pub(crate) fn new<F, B>(respond: F) -> Self
    where
        F: Fn(Rejection) -> Response<B> + Send + Sync + 'static,
        B: http_body::Body<Data = Bytes> + Send + 'static,
        B::Error: Into<BoxError>,
    {
        Self(Some(Arc::new(Box::new(move |rejection| {
            respond(rejection).map(Body::new)
        }))))
    }

    pub(crate) fn respond(&self, rejection: Rejection) -> Response<Body> {
        match &self.0 {
            Some(respond) => respond(rejection),
            None => rejection.into_response(),
        }
    }
}

impl fmt::Debug for OnRejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OnRejection")
            .field(&self.0.is_some())
            .finish()
    }
}
