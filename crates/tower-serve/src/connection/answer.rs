use std::{any::Any, time::Duration};

use http::{HeaderValue, Method, Response, StatusCode, Version, header, uri::PathAndQuery};
use http_body::Body;

use super::{
    page::Page,
    progress::{Answering, BodyState},
    response_body::ResponseBody,
};
use crate::{
    BoxError,
    error::{error_text, panic_text},
};

/// The answer when the server's own code, or the service's, is at fault.
const INTERNAL_ERROR: Page = Page::new(
    StatusCode::INTERNAL_SERVER_ERROR,
    "the request could not be answered",
);

const REQUEST_TIMEOUT: Page = Page::new(
    StatusCode::GATEWAY_TIMEOUT,
    "the service did not answer in time",
);

const BODY_TIMEOUT: Page = Page::new(
    StatusCode::REQUEST_TIMEOUT,
    "the request body did not arrive in time",
);

const BAD_BODY: Page = Page::new(
    StatusCode::BAD_REQUEST,
    "the request body is malformed, or was cut off",
);

/// Why there is no response of the service's.
pub(super) enum Failure {
    Refused(Page),
    Error(BoxError),
    Panic(Box<dyn Any + Send>),
    /// The request was called so, and the service has had it for this time.
    Overdue(Option<Name>, Duration),
}

/// What a request is called in the log: its method and its target.
pub(super) type Name = (Method, Option<PathAndQuery>);

/// The service's response as it is sent, or the answer in its place.
pub(super) fn respond<B: Body>(
    answer: Result<Response<B>, Failure>,
    answering: Answering,
) -> Response<ResponseBody<B>> {
    let failure = match answer {
        Ok(response) if response.status().is_informational() => {
            // hyper offers no way to send an interim response, nor to switch protocols here.
            format!("the service answered {}", response.status()).into()
        }
        Ok(mut response) => {
            let progress = answering.progress();
            if progress.old() && !has_length(&response) {
                // The body ends with the connection. hyper would keep its word to a client that asked to go on, and
                // close it all the same.
                progress.set_closing();
                *response.version_mut() = Version::HTTP_10;
            }
            let says = || response.headers().contains_key(header::CONNECTION);
            if progress.closing() || progress.has_surplus() && !says() && progress.take_surplus() {
                response
                    .headers_mut()
                    .insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            return response.map(|body| ResponseBody::service(body, answering));
        }
        Err(Failure::Refused(page)) => {
            if page.is_refusal {
                tracing::debug!(status = page.status.as_u16(), "refused: {}", page.text);
            }
            return page.into_response(answering);
        }
        Err(Failure::Overdue(name, age)) => {
            let (method, target) = name.unzip();
            tracing::warn!(
                method = method.as_ref().map(Method::as_str),
                path = target.flatten().as_ref().map(PathAndQuery::path),
                age_s = age.as_secs_f64(),
                "the service did not answer in time; the client gets 504"
            );
            return REQUEST_TIMEOUT.into_response(answering);
        }
        Err(Failure::Error(error)) => error,
        Err(Failure::Panic(panic)) => {
            tracing::error!(panic = panic_text(&*panic), "the service panicked");
            return INTERNAL_ERROR.into_response(answering);
        }
    };
    let page = match answering.progress().body() {
        BodyState::Malformed => BAD_BODY,
        BodyState::TimedOut => BODY_TIMEOUT,
        BodyState::Complete | BodyState::Unread | BodyState::Arrived => {
            tracing::error!(error = error_text(&*failure), "the service failed");
            INTERNAL_ERROR
        }
    };
    page.into_response(answering)
}

/// Whether the length of the body is known before its end. That to HEAD has none, which is not looked at: its
/// connection closes for nothing.
fn has_length<B: Body>(response: &Response<B>) -> bool {
    let status = response.status();
    response.headers().contains_key(header::CONTENT_LENGTH)
        || response.body().is_end_stream()
        || response.body().size_hint().exact().is_some()
        || status == StatusCode::NO_CONTENT
        || status == StatusCode::NOT_MODIFIED
}
