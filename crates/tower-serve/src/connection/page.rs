//! The answers that the server gives by itself.

use bytes::Bytes;
use http::{HeaderValue, Response, StatusCode, header};

use super::{progress::Answering, response_body::ResponseBody};

/// An answer of the server's own: a status, and a sentence for the person who reads it.
///
/// It is a refusal, after which the connection closes, or a report on the server, after which it goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Page {
    pub(super) status: StatusCode,
    pub(super) text: &'static str,
    pub(super) is_refusal: bool,
}

impl Page {
    pub(super) const fn new(status: StatusCode, text: &'static str) -> Self {
        Self {
            status,
            text,
            is_refusal: true,
        }
    }

    pub(super) const fn bad_request(text: &'static str) -> Self {
        Self::new(StatusCode::BAD_REQUEST, text)
    }

    pub(super) const fn report(status: StatusCode, text: &'static str) -> Self {
        Self {
            status,
            text,
            is_refusal: false,
        }
    }

    /// Plain text. A refusal is the last response on its connection.
    pub(super) fn into_response<B>(self, answering: Answering) -> Response<ResponseBody<B>> {
        let is_last = self.is_refusal || answering.progress().closing();
        let text = if self.is_refusal {
            format!("{}: {}\n", self.status, self.text)
        } else {
            format!("{}\n", self.text)
        };
        let text = Bytes::from(text);
        let mut response = Response::new(ResponseBody::page(text, answering));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(
            header::CONTENT_TYPE,
            HeaderValue::from_static("text/plain; charset=utf-8"),
        );
        if is_last {
            headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
        }
        if !self.is_refusal {
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
        }
        response
    }
}
