//! The responses of the server itself: as a response of hyper, and as bytes for the socket.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::SystemTime,
};

use bytes::Bytes;
use http::{
    HeaderValue, Method, Request, Response,
    header::{ACCEPT, CONNECTION, CONTENT_LENGTH, DATE, TRANSFER_ENCODING},
    uri::PathAndQuery,
};
use tower_server_info::ServerResponse;

use crate::error::panic_text;

/// What is kept of a request for a response of the server itself.
#[derive(Clone, Debug)]
pub struct RequestSummary {
    method: Method,
    target: Option<PathAndQuery>,
    accept: Option<HeaderValue>,
}

impl RequestSummary {
    pub(super) fn of<B>(request: &Request<B>) -> Self {
        Self::with_accept(request, request.headers().get(ACCEPT).cloned())
    }

    /// The same, where the `Accept` field is known already.
    pub(super) fn with_accept<B>(request: &Request<B>, accept: Option<HeaderValue>) -> Self {
        Self {
            method: request.method().clone(),
            target: request.uri().path_and_query().cloned(),
            accept,
        }
    }

    /// The method.
    #[must_use]
    pub fn method(&self) -> &Method {
        &self.method
    }

    /// The path of the target.
    #[must_use]
    pub fn path(&self) -> &str {
        self.target.as_ref().map_or("", PathAndQuery::path)
    }

    /// The `Accept` field.
    #[must_use]
    pub fn accept(&self) -> Option<&HeaderValue> {
        self.accept.as_ref()
    }
}

type Render = dyn Fn(&ServerResponse, Option<&RequestSummary>) -> Response<Bytes> + Send + Sync;

/// Renders the responses of the server itself: as [`ServerResponse::render`] does, or as the user's function does.
#[derive(Clone, Default)]
pub(super) struct Renderer(Option<Arc<Render>>);

impl Renderer {
    /// The response to a request, which is not known if it could not be parsed.
    pub(super) fn render(
        &self,
        response: &ServerResponse,
        request: Option<&RequestSummary>,
    ) -> Response<Bytes> {
        let rendered = self.by_user(response, request);
        let mut rendered = rendered.unwrap_or_else(|| match request {
            Some(request) => response.render(request.accept()),
            None => response.clone().into_response(),
        });
        // The connection frames it.
        for name in [CONNECTION, CONTENT_LENGTH, DATE, TRANSFER_ENCODING] {
            rendered.headers_mut().remove(name);
        }
        rendered
    }

    fn by_user(
        &self,
        response: &ServerResponse,
        request: Option<&RequestSummary>,
    ) -> Option<Response<Bytes>> {
        let render = self.0.as_ref()?;
        match catch_unwind(AssertUnwindSafe(|| render(response, request))) {
            Ok(rendered) if !rendered.status().is_informational() => Some(rendered),
            Ok(rendered) => {
                let status = rendered.status().as_u16();
                tracing::error!(status, "a server response was rendered with status 1xx");
                None
            }
            Err(panic) => {
                let panic = panic_text(&*panic);
                tracing::error!(panic, "the function that renders server responses panicked");
                None
            }
        }
    }
}

impl<F> From<F> for Renderer
where
    F: Fn(&ServerResponse, Option<&RequestSummary>) -> Response<Bytes> + Send + Sync + 'static,
{
    fn from(render: F) -> Self {
        Self(Some(Arc::new(render)))
    }
}

impl fmt::Debug for Renderer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Renderer").finish_non_exhaustive()
    }
}

/// The bytes of a response that was [rendered](Renderer::render), in HTTP/1.1, as the last on its connection. The response to HEAD has no body.
pub(super) fn to_bytes(response: &Response<Bytes>, to_head: bool) -> Bytes {
    let (status, body) = (response.status(), response.body());
    let mut bytes = Vec::with_capacity(256 + body.len());
    let mut put = |parts: &[&[u8]]| parts.iter().for_each(|part| bytes.extend_from_slice(part));
    let reason = status.canonical_reason().unwrap_or_default();
    put(&[b"HTTP/1.1 ", status.as_str().as_bytes(), b" "]);
    put(&[reason.as_bytes(), b"\r\n"]);
    for (name, value) in response.headers() {
        put(&[name.as_str().as_bytes(), b": ", value.as_bytes(), b"\r\n"]);
    }
    let date = httpdate::fmt_http_date(SystemTime::now());
    put(&[b"connection: close\r\ncontent-length: "]);
    put(&[body.len().to_string().as_bytes(), b"\r\n"]);
    put(&[b"date: ", date.as_bytes(), b"\r\n\r\n"]);
    if !to_head {
        put(&[body]);
    }
    bytes.into()
}

#[cfg(test)]
mod tests {
    use http::StatusCode;

    use super::*;
    use crate::connection::refusal::Refusal;

    #[test]
    fn the_bytes_are_a_whole_response() {
        let response = Renderer::default().render(&Refusal::HeadTimeout.into(), None);
        let text = String::from_utf8(to_bytes(&response, false).to_vec()).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        assert_eq!(
            body,
            "408 Request Timeout\nThe request head did not arrive in time.\n"
        );
        let (fields, date) = head.split_once("\r\ndate: ").unwrap();
        assert_eq!(
            fields,
            "HTTP/1.1 408 Request Timeout\r\n\
             content-type: text/plain; charset=utf-8\r\n\
             connection: close\r\n\
             content-length: 61"
        );
        assert!(httpdate::parse_http_date(date).is_ok(), "{date}");

        let head_only = String::from_utf8(to_bytes(&response, true).to_vec()).unwrap();
        assert!(head_only.contains("content-length: 61\r\n"));
        assert!(head_only.ends_with("\r\n\r\n"), "{head_only}");
    }

    #[test]
    fn a_user_renders_but_does_not_frame() {
        let renderer = Renderer::from(
            |response: &ServerResponse, request: Option<&RequestSummary>| {
                assert!(request.is_none());
                Response::builder()
                    .status(response.status())
                    .header("x-own", "yes")
                    .header("connection", "keep-alive")
                    .header("content-length", "7000")
                    .header("transfer-encoding", "chunked")
                    .body(Bytes::from_static(b"mine"))
                    .unwrap()
            },
        );
        let response = renderer.render(&Refusal::Malformed.into(), None);
        let text = String::from_utf8(to_bytes(&response, false).to_vec()).unwrap();
        assert!(
            text.starts_with(
                "HTTP/1.1 400 Bad Request\r\nx-own: yes\r\nconnection: close\r\ncontent-length: 4\r\ndate: "
            ),
            "{text}"
        );
        assert!(text.ends_with("\r\n\r\nmine"), "{text}");
    }

    #[test]
    fn a_broken_function_is_replaced_by_the_default() {
        let informational = Renderer::from(|_: &ServerResponse, _: Option<&RequestSummary>| {
            let mut response = Response::new(Bytes::new());
            *response.status_mut() = StatusCode::SWITCHING_PROTOCOLS;
            response
        });
        let panics =
            Renderer::from(|_: &ServerResponse, _: Option<&RequestSummary>| panic!("broken"));
        for renderer in [informational, panics] {
            let response = renderer.render(&Refusal::NoHost.into(), None);
            assert_eq!(response.status(), 400);
        }
    }

    #[test]
    fn a_request_has_the_form_that_it_accepts() {
        let request = Request::get("/a?b")
            .header("accept", "application/json")
            .body(())
            .unwrap();
        let summary = RequestSummary::of(&request);
        assert_eq!((summary.method(), summary.path()), (&Method::GET, "/a"));
        let response = Renderer::default().render(&Refusal::NoHost.into(), Some(&summary));
        assert_eq!(response.headers()["content-type"], "application/json");
    }
}
