//! The answers that the server gives by itself.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};

use super::{progress::Answering, response_body::ResponseBody};

/// An answer of the server's own: a status, and a sentence for the person who reads it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) status: StatusCode,
    pub(super) text: &'static str,
}

impl Page {
    pub(super) const fn new(status: StatusCode, text: &'static str) -> Self {
        Self { status, text }
    }

    /// Plain text, and the last response on its connection.
    pub(super) fn into_response<B>(self, answering: Answering) -> Response<ResponseBody<B>> {
        let text = Bytes::from(format!("{}: {}\n", self.status, self.text));
        let mut response = Response::new(ResponseBody::page(text, answering));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        );
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        response
    }
}
