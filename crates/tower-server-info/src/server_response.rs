//! The responses that a server or a layer makes itself, in place of the service.

use std::{borrow::Cow, fmt::Write as _, time::Duration};

use bytes::Bytes;
use http::{
    HeaderMap, HeaderName, HeaderValue, Response, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER, VARY},
};

use crate::accept::Form;

/// A response that a server or a layer makes itself, in place of the service: a refusal such as 413, an error such as
/// 500 or 504.
///
/// It is a status, one sentence for the person who reads it, and header fields. Its body is text, HTML or JSON, as the
/// request's `Accept` field prefers.
///
/// ```
/// use std::time::Duration;
/// use bytes::Bytes;
/// use http::{HeaderValue, Response, StatusCode};
/// use tower_server_info::ServerResponse;
///
/// let busy = ServerResponse::new(StatusCode::SERVICE_UNAVAILABLE, "The server is too busy.")
///     .retry_after(Duration::from_secs(1));
///
/// let response: Response<Bytes> = busy.render(Some(&HeaderValue::from_static("application/json")));
/// assert_eq!(response.status(), 503);
/// assert_eq!(response.headers()["retry-after"], "1");
/// assert_eq!(response.headers()["content-type"], "application/json");
/// assert_eq!(
///     response.body(),
///     "{\"status\":503,\"error\":\"Service Unavailable\",\"message\":\"The server is too busy.\"}\n"
/// );
/// ```
///
/// A layer that does not know the request's `Accept` responds with plain text by [`into_response`](Self::into_response).
/// That response carries the `ServerResponse` in its extensions, so that a layer above can still choose the form by
/// [`negotiate`](Self::negotiate).
#[derive(Clone, Debug)]
pub struct ServerResponse {
    status: StatusCode,
    message: Cow<'static, str>,
    headers: HeaderMap,
}

impl ServerResponse {
    /// A response with `status`, and `message` for the person who reads it: a sentence.
    #[must_use]
    pub fn new(status: StatusCode, message: impl Into<Cow<'static, str>>) -> Self {
        Self {
            status,
            message: message.into(),
            headers: HeaderMap::new(),
        }
    }

    /// Adds a header field, or replaces the one of this name.
    #[must_use]
    pub fn header(mut self, name: HeaderName, value: HeaderValue) -> Self {
        self.headers.insert(name, value);
        self
    }

    /// Says by a `Retry-After` field, in whole seconds, when the client may try again.
    #[must_use]
    pub fn retry_after(self, delay: Duration) -> Self {
        self.header(RETRY_AFTER, HeaderValue::from(delay.as_secs()))
    }

    /// The status.
    #[must_use]
    pub fn status(&self) -> StatusCode {
        self.status
    }

    /// The sentence for the person who reads it.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.message
    }

    /// The header fields besides those that describe the body.
    #[must_use]
    pub fn headers(&self) -> &HeaderMap {
        &self.headers
    }

    /// As a response in the form that the request's `Accept` field prefers; text without one.
    #[must_use]
    pub fn render<B: From<Bytes>>(&self, accept: Option<&HeaderValue>) -> Response<B> {
        let form = accept.map_or(Form::Text, |accept| Form::negotiate(accept.as_bytes()));
        let mut response = self.in_form(form);
        vary_by_accept(response.headers_mut());
        response
    }

    /// As a response of plain text that carries this in its extensions, for [`negotiate`](Self::negotiate).
    #[must_use]
    pub fn into_response<B: From<Bytes>>(self) -> Response<B> {
        let mut response = self.in_form(Form::Text);
        response.extensions_mut().insert(self);
        response
    }

    /// Gives a response that carries a `ServerResponse` in its extensions the form that the request's `Accept` field
    /// prefers, and takes it out of the extensions. Its other header fields stay, and so does any other response.
    pub fn negotiate<B: From<Bytes>>(accept: Option<&HeaderValue>, response: &mut Response<B>) {
        let Some(made) = response.extensions_mut().remove::<Self>() else {
            return;
        };
        let form = accept.map_or(Form::Text, |accept| Form::negotiate(accept.as_bytes()));
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(form.content_type()));
        vary_by_accept(headers);
        *response.body_mut() = B::from(made.content(form));
    }

    fn in_form<B: From<Bytes>>(&self, form: Form) -> Response<B> {
        let mut response = Response::new(B::from(self.content(form)));
        *response.status_mut() = self.status;
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static(form.content_type()));
        for (name, value) in &self.headers {
            headers.append(name, value.clone());
        }
        response
    }

    fn content(&self, form: Form) -> Bytes {
        let code = self.status.as_u16();
        let reason = self.status.canonical_reason().unwrap_or("Error");
        let message = &*self.message;
        let content = match form {
            Form::Text => format!("{code} {reason}\n{message}\n"),
            Form::Html => format!(
                "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
                 <meta name=\"viewport\" content=\"width=device-width\">\n\
                 <title>{code} {reason}</title>\n<h1>{code} {reason}</h1>\n<p>{}</p>\n</html>\n",
                html(message)
            ),
            Form::Json => format!(
                "{{\"status\":{code},\"error\":\"{reason}\",\"message\":\"{}\"}}\n",
                json(message)
            ),
        };
        content.into()
    }
}

fn vary_by_accept(headers: &mut HeaderMap) {
    headers.append(VARY, HeaderValue::from_static("accept"));
}

/// Text within HTML.
fn html(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&#x27;"),
            character => escaped.push(character),
        }
    }
    escaped
}

/// Text within a string of JSON.
fn json(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '"' => escaped.push_str("\\\""),
            '\\' => escaped.push_str("\\\\"),
            '\n' => escaped.push_str("\\n"),
            character if character.is_control() => {
                // A string takes any text. All control characters are in the plane of four digits.
                let _ = write!(escaped, "\\u{:04x}", u32::from(character));
            }
            character => escaped.push(character),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rendered(response: &ServerResponse, accept: &'static str) -> Response<Bytes> {
        response.render(Some(&HeaderValue::from_static(accept)))
    }

    #[test]
    fn each_form_has_the_status_and_the_message() {
        let response = ServerResponse::new(StatusCode::BAD_REQUEST, "No \"<a> & 'b'\"\\\n\u{1}.");
        let text: Response<Bytes> = response.render(None);
        assert_eq!(text.body(), "400 Bad Request\nNo \"<a> & 'b'\"\\\n\u{1}.\n");
        let html = rendered(&response, "text/html");
        let html = str::from_utf8(html.body()).unwrap();
        assert!(html.contains("<title>400 Bad Request</title>"), "{html}");
        assert!(
            html.contains("<p>No &quot;&lt;a&gt; &amp; &#x27;b&#x27;&quot;\\\n\u{1}.</p>"),
            "{html}"
        );
        assert_eq!(
            rendered(&response, "application/json").body(),
            "{\"status\":400,\"error\":\"Bad Request\",\"message\":\"No \\\"<a> & 'b'\\\"\\\\\\n\\u0001.\"}\n"
        );
    }

    #[test]
    fn header_fields_are_there_in_each_form() {
        let busy = ServerResponse::new(StatusCode::SERVICE_UNAVAILABLE, "Busy.")
            .retry_after(Duration::from_secs(1))
            .header(http::header::CONNECTION, HeaderValue::from_static("close"));
        for accept in ["text/plain", "text/html", "application/json"] {
            let response = rendered(&busy, accept);
            assert_eq!(response.status(), 503);
            assert_eq!(response.headers()["retry-after"], "1");
            assert_eq!(response.headers()["connection"], "close");
            assert_eq!(response.headers()["vary"], "accept");
            let content_type = response.headers()["content-type"].to_str().unwrap();
            assert!(content_type.starts_with(accept), "{content_type}");
        }
    }

    #[test]
    fn a_response_can_be_given_another_form_later() {
        let response = ServerResponse::new(StatusCode::PAYLOAD_TOO_LARGE, "Too large.");
        let mut response: Response<Bytes> = response.into_response();
        assert_eq!(response.body(), "413 Payload Too Large\nToo large.\n");
        assert!(!response.headers().contains_key("vary"));
        response
            .headers_mut()
            .insert("x-edited", HeaderValue::from_static("yes"));

        let accept = HeaderValue::from_static("application/json");
        ServerResponse::negotiate(Some(&accept), &mut response);
        assert_eq!(response.headers()["content-type"], "application/json");
        assert_eq!(response.headers()["vary"], "accept");
        assert_eq!(response.headers()["x-edited"], "yes");
        assert!(response.body().starts_with(b"{"));

        // Once: what a layer above has put in its place stays.
        *response.body_mut() = Bytes::from_static(b"edited");
        ServerResponse::negotiate(None, &mut response);
        assert_eq!(response.body(), "edited");
    }
}
