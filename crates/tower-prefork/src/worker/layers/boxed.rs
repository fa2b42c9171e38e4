//! A service and a body without their types, so that each layer may be there or not.

use bytes::Bytes;
use futures_util::future::BoxFuture;
use http::{Request, Response};
use http_body::Body;
use http_body_util::{BodyExt as _, combinators::UnsyncBoxBody};
use tower::{ServiceExt as _, util::BoxCloneService};
use tower_serve::{BoxError, HttpService, RequestBody};

/// The body of a response that has passed the layers.
pub(super) type LayeredBody = UnsyncBoxBody<Bytes, BoxError>;

/// The service, or the layers so far.
pub(super) type BoxedService =
    BoxCloneService<Request<RequestBody>, Response<LayeredBody>, BoxError>;

/// What a layer returns.
pub(super) type BoxedResponse = BoxFuture<'static, Result<Response<LayeredBody>, BoxError>>;

pub(super) fn boxed_service<S: HttpService>(service: S) -> BoxedService {
    let service = service.map_response(|response: Response<_>| response.map(boxed_body));
    BoxCloneService::new(service.map_err(Into::into))
}

pub(super) fn boxed_body<B>(body: B) -> LayeredBody
where
    B: Body<Data = Bytes, Error: Into<BoxError>> + Send + 'static,
{
    body.map_err(Into::into).boxed_unsync()
}
