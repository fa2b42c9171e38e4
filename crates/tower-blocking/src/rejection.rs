//! The answers that a layer gives in place of the handler.

use http::{
    HeaderValue, Response, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER},
};

use crate::Body;

/// Why a layer refused a request. It stays in the extensions of the response, so that a
/// `WsgiHandler` above can render it in the form that the client accepts.
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
        let mut response = Self::new(StatusCode::SERVICE_UNAVAILABLE, explanation).into_response();
        response
            .headers_mut()
            .insert(RETRY_AFTER, HeaderValue::from_static("1"));
        response
    }

    /// For a request of which the rest is not read: the connection cannot be used again.
    #[cfg(feature = "wait-for-body")]
    pub fn closing(self, version: http::Version) -> Response<Body> {
        closing(self.into_response(), version)
    }

    /// As plain text.
    pub fn into_response(self) -> Response<Body> {
        let mut response = Response::new(Body::from(format!(
            "{}\n{}\n",
            self.status, self.explanation
        )));
        *response.status_mut() = self.status;
        response.headers_mut().insert(
            CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        );
        response.extensions_mut().insert(self);
        response
    }
}

/// A response after which the connection ends, where the version has a field that says so.
#[cfg(feature = "wait-for-body")]
pub(crate) fn closing(mut response: Response<Body>, version: http::Version) -> Response<Body> {
    if version <= http::Version::HTTP_11 {
        response
            .headers_mut()
            .insert(http::header::CONNECTION, HeaderValue::from_static("close"));
    }
    response
}
