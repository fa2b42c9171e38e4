//! The bounds of a service, under one name.

use bytes::Bytes;
use http::{Request, Response};
use http_body::Body;
use tower_service::Service;

use super::RequestBody;
use crate::BoxError;

/// Any tower service that a server can serve: the bounds, under one name.
///
/// A `Service<Request<RequestBody>>` with a `Response` of any body of [`Bytes`], cloned for each
/// connection. An axum `Router` is one, and a handler of `tower_wsgi`. It is implemented for all of
/// them, and for nothing else.
pub trait HttpService:
    Service<
        Request<RequestBody>,
        Response = Response<<Self as HttpService>::ResponseBody>,
        Error: Into<BoxError>,
        Future: Send,
    > + Clone
    + Send
    + 'static
{
    /// The body of its responses.
    type ResponseBody: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static;
}

impl<S, B> HttpService for S
where
    S: Service<Request<RequestBody>, Response = Response<B>, Error: Into<BoxError>, Future: Send>
        + Clone
        + Send
        + 'static,
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    type ResponseBody = B;
}
