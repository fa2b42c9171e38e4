//! From the service's result to the response that is sent.

use std::{any::Any, error::Error, time::Duration};

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, Version, header};
use http_body::Body;

use super::{
    handle::ExchangeGuard,
    readiness::ReadinessReport,
    refusal::Refusal,
    response_body::ResponseBody,
    server_response::{Renderer, RequestSummary},
    shared_body::BodyState,
};
use crate::{
    BoxError,
    error::{error_text, panic_text},
};

/// Why the service gives no response.
pub(super) enum NoResponse {
    /// It was not called.
    Refused(Refusal),
    /// It was not called: the request asks for the state of the server.
    Readiness(ReadinessReport),
    Error(BoxError),
    Panic(Box<dyn Any + Send>),
    /// It has had the request for this time.
    TimedOut(Duration),
}

/// The service's response as it is sent, or the one of the server itself in its place.
pub(super) fn respond<B: Body>(
    result: Result<Response<B>, NoResponse>,
    request: &RequestSummary,
    renderer: &Renderer,
    exchange: ExchangeGuard,
    body: BodyState,
) -> Response<ResponseBody<B>> {
    let reason = match result {
        Ok(mut response) if exchange.switches_protocols(response.status()) => {
            // It has no body, and no field that would frame one (RFC 9110 section 8.6).
            response.headers_mut().remove(header::CONTENT_LENGTH);
            response.headers_mut().remove(header::TRANSFER_ENCODING);
            return response.map(|_| ResponseBody::of_server(None, exchange));
        }
        Ok(response) if response.status().is_informational() => informational(&response),
        Ok(mut response) => {
            let ends_with_connection = exchange.is_http10() && !has_length(&response);
            if ends_with_connection {
                // hyper would confirm to a client that asked for it that the connection stays open, and close it all the
                // same.
                *response.version_mut() = Version::HTTP_10;
            }
            let may_shed =
                || exchange.has_surplus() && !response.headers().contains_key(header::CONNECTION);
            if exchange.is_last(ends_with_connection) || may_shed() && exchange.take_surplus() {
                close(&mut response);
            }
            return response.map(|body| ResponseBody::service(body, exchange));
        }
        Err(reason) => reason,
    };
    let (mut response, is_refusal) = of_server(reason, request, renderer, body);
    if is_refusal || exchange.is_last(false) {
        close(&mut response);
    }
    response.map(|body| ResponseBody::of_server(Some(body), exchange))
}

/// The same on a stream of HTTP/2, whose connection stays open unless the worker is to have fewer.
pub(super) fn respond_on_stream<B: Body>(
    result: Result<Response<B>, NoResponse>,
    request: &RequestSummary,
    renderer: &Renderer,
    exchange: ExchangeGuard,
    body: BodyState,
) -> Response<ResponseBody<B>> {
    if exchange.has_surplus() && !exchange.is_last(false) {
        exchange.take_surplus();
    }
    let reason = match result {
        Ok(response) if response.status().is_informational() => informational(&response),
        Ok(response) => return response.map(|body| ResponseBody::service(body, exchange)),
        Err(reason) => reason,
    };
    let (response, _) = of_server(reason, request, renderer, body);
    response.map(|body| ResponseBody::of_server(Some(body), exchange))
}

/// hyper offers no way to send an interim response, and the client has not asked for another protocol.
fn informational<B>(response: &Response<B>) -> NoResponse {
    let error = format!("the service responded with status {}", response.status());
    NoResponse::Error(error.into())
}

/// The response of the server itself, and whether it refuses the request.
fn of_server(
    reason: NoResponse,
    request: &RequestSummary,
    renderer: &Renderer,
    body: BodyState,
) -> (Response<Bytes>, bool) {
    let refusal = match reason {
        NoResponse::Readiness(report) => return (report.render(), false),
        NoResponse::Refused(refusal) => {
            let status = refusal.status().as_u16();
            tracing::debug!(status, "request refused: {}", refusal.message());
            refusal
        }
        NoResponse::TimedOut(age) => {
            tracing::warn!(
                method = request.method().as_str(),
                path = request.path(),
                age_s = age.as_secs_f64(),
                "the service did not respond in time; the client gets 504"
            );
            Refusal::ServiceTimeout
        }
        NoResponse::Error(error) => of_error(&*error, body),
        NoResponse::Panic(panic) => {
            tracing::error!(panic = panic_text(&*panic), "the service panicked");
            Refusal::ServiceFailed
        }
    };
    (renderer.render(&refusal.into(), Some(request)), true)
}

/// What an error of the service means to the client, whose request body may be the cause.
fn of_error(error: &(dyn Error + 'static), body: BodyState) -> Refusal {
    match body {
        BodyState::Malformed => Refusal::MalformedBody,
        BodyState::TimedOut => Refusal::BodyTimeout,
        BodyState::Complete | BodyState::Unread | BodyState::Arrived => {
            tracing::error!(error = error_text(error), "the service failed");
            Refusal::ServiceFailed
        }
    }
}

/// The connection ends with this response.
fn close<B>(response: &mut Response<B>) {
    let headers = response.headers_mut();
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
}

/// Whether the length of the body is known before its end. That to HEAD has none, which is not checked: its
/// connection closes for nothing.
fn has_length<B: Body>(response: &Response<B>) -> bool {
    let status = response.status();
    response.headers().contains_key(header::CONTENT_LENGTH)
        || response.body().is_end_stream()
        || response.body().size_hint().exact().is_some()
        || status == StatusCode::NO_CONTENT
        || status == StatusCode::NOT_MODIFIED
}
