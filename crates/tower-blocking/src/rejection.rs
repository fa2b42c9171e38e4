//! Why a layer refuses a request, and the response that the client gets.

use std::{error::Error, fmt, time::Duration};

use http::{Response, StatusCode};
use tower_server_info::ServerResponse;

use crate::Body;

/// Why a layer refused a request, or a pool a job.
///
/// [`BlockingPool::run`](crate::blocking::BlockingPool::run) returns it as its error. The layers turn it into a response
/// with [`status`](Self::status) and [`message`](Self::message); their `on_rejection` hooks can give another one.
///
/// ```
/// use http::StatusCode;
/// use tower_blocking::Rejection;
///
/// let response = Rejection::QueueFull.into_response();
/// assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
/// assert_eq!(response.headers()["retry-after"], "1");
/// assert_eq!(Rejection::BodyTooLarge.status(), StatusCode::PAYLOAD_TOO_LARGE);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Rejection {
    /// The queue of the pool is full.
    QueueFull,
    /// The job waited longer than the queue timeout.
    QueueTimeout,
    /// The client closed its sending side while its request waited for a thread, so it has probably left.
    ClientClosed,
    /// The system refuses threads, and the pool has none.
    NoThread,
    /// The pool is being drained, or its runtime has ended.
    Draining,
    /// The request body exceeds the limit.
    BodyTooLarge,
    /// The request body did not arrive before the deadline.
    BodyTimeout,
    /// The request body is malformed, or the connection was closed in the middle of it.
    BodyIncomplete,
    /// The disk budget for request bodies is used up.
    DiskBudget,
    /// The request body could not be written to disk.
    DiskError,
    /// The service could not be built.
    BuildFailed,
}

impl Rejection {
    /// The status of the response.
    #[must_use]
    pub fn status(self) -> StatusCode {
        match self {
            Self::QueueFull
            | Self::QueueTimeout
            | Self::ClientClosed
            | Self::NoThread
            | Self::Draining
            | Self::DiskBudget
            | Self::DiskError
            | Self::BuildFailed => StatusCode::SERVICE_UNAVAILABLE,
            Self::BodyTooLarge => StatusCode::PAYLOAD_TOO_LARGE,
            Self::BodyTimeout => StatusCode::REQUEST_TIMEOUT,
            Self::BodyIncomplete => StatusCode::BAD_REQUEST,
        }
    }

    /// A sentence for the person who reads the response.
    #[must_use]
    pub fn message(self) -> &'static str {
        match self {
            Self::QueueFull | Self::QueueTimeout | Self::ClientClosed | Self::NoThread => {
                "The server is too busy to handle the request now."
            }
            Self::Draining => "The server is shutting down.",
            Self::BodyTooLarge => "The request body is larger than this server accepts.",
            Self::BodyTimeout => "The request body did not arrive in time.",
            Self::BodyIncomplete => "The request body is malformed or was cut off.",
            Self::DiskBudget | Self::DiskError => "The server cannot store the request now.",
            Self::BuildFailed => "The application could not be started.",
        }
    }

    /// The response as plain text, with `Retry-After` if the status is 503. [`ServerResponse::negotiate`] can give it
    /// another form.
    #[must_use]
    pub fn into_response(self) -> Response<Body> {
        ServerResponse::from(self).into_response()
    }
}

impl From<Rejection> for ServerResponse {
    fn from(rejection: Rejection) -> Self {
        let response = Self::new(rejection.status(), rejection.message());
        if rejection.status() == StatusCode::SERVICE_UNAVAILABLE {
            response.retry_after(Duration::from_secs(1))
        } else {
            response
        }
    }
}

impl fmt::Display for Rejection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.message())
    }
}

impl Error for Rejection {}

/// The response to an error or a panic of the application, from which the client learns nothing.
#[must_use]
pub fn application_failed() -> Response<Body> {
    ServerResponse::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "The server failed to handle the request.",
    )
    .into_response()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_503_says_when_to_try_again_and_other_refusals_do_not() {
        for (rejection, status, retry_after) in [
            (Rejection::QueueFull, 503, Some("1")),
            (Rejection::Draining, 503, Some("1")),
            (Rejection::DiskBudget, 503, Some("1")),
            (Rejection::BodyTooLarge, 413, None),
            (Rejection::BodyTimeout, 408, None),
            (Rejection::BodyIncomplete, 400, None),
        ] {
            let response = rejection.into_response();
            assert_eq!(response.status().as_u16(), status);
            let header = response.headers().get("retry-after");
            assert_eq!(header.map(|value| value.to_str().unwrap()), retry_after);
        }
    }
}
