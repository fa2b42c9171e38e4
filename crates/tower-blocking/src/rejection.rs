//! The responses that a layer gives in place of its service.

use std::time::Duration;

use http::{Response, StatusCode};
use tower_server_info::ServerResponse;

use crate::Body;

/// Why a layer refused a request: the status and the sentence of a [`ServerResponse`].
#[derive(Clone, Copy, Debug)]
pub struct Rejection {
    /// Of the response.
    pub status: StatusCode,
    /// One sentence for the client.
    pub explanation: &'static str,
}

impl Rejection {
    /// For an error or a panic of the application, of which the client learns nothing.
    #[cfg(feature = "blocking")]
    pub const FAILED: Self = Self::new(
        StatusCode::INTERNAL_SERVER_ERROR,
        "The server failed to answer the request.",
    );

    /// A response with this status and this sentence.
    pub const fn new(status: StatusCode, explanation: &'static str) -> Self {
        Self {
            status,
            explanation,
        }
    }

    /// For the moments in which one more try may well succeed.
    pub fn try_again(explanation: &'static str) -> Response<Body> {
        ServerResponse::new(StatusCode::SERVICE_UNAVAILABLE, explanation)
            .retry_after(Duration::from_secs(1))
            .into_response()
    }

    /// For a request of which the rest is not read: the connection cannot be used again.
    #[cfg(feature = "wait-for-body")]
    pub fn closing(self, version: http::Version) -> Response<Body> {
        closing(self.into_response(), version)
    }

    /// As plain text, which `ServerResponse::negotiate` gives another form.
    pub fn into_response(self) -> Response<Body> {
        ServerResponse::new(self.status, self.explanation).into_response()
    }
}

/// A response after which the connection ends, where the version has a field that says so.
#[cfg(feature = "wait-for-body")]
pub(crate) fn closing(mut response: Response<Body>, version: http::Version) -> Response<Body> {
    if version <= http::Version::HTTP_11 {
        response.headers_mut().insert(
            http::header::CONNECTION,
            http::HeaderValue::from_static("close"),
        );
    }
    response
}
