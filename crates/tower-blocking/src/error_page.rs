//! The refusals of the layers, in the form that the client accepts.

use http::{
    HeaderValue, Response,
    header::{CONTENT_TYPE, VARY},
};

use crate::{Body, rejection::Rejection};

#[derive(Clone, Copy, Debug, PartialEq)]
enum Form {
    Text,
    Html,
    Json,
}

/// Renders a response that a layer or `WsgiService` made in place of the
/// application, such as a 500 or a 503, in the form that the client accepts: text, HTML or JSON. Any other
/// response stays as it is.
///
/// `WsgiHandler` does this itself; it is for a service without one.
pub fn render(accept: Option<&HeaderValue>, response: &mut Response<Body>) {
    let Some(rejection) = response.extensions_mut().remove::<Rejection>() else {
        return;
    };
    let form = accept.map_or(Form::Text, |accept| choose(accept.as_bytes()));
    let (content_type, page) = match form {
        Form::Text => ("text/plain; charset=utf-8", text(rejection)),
        Form::Html => ("text/html; charset=utf-8", html(rejection)),
        Form::Json => ("application/json", json(rejection)),
    };
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(content_type));
    headers.append(VARY, HeaderValue::from_static("accept"));
    *response.body_mut() = Body::from(page);
}

fn reason(rejection: Rejection) -> &'static str {
    rejection.status.canonical_reason().unwrap_or("Error")
}

fn text(rejection: Rejection) -> String {
    format!("{}\n{}\n", rejection.status, rejection.explanation)
}

// The explanations are our own constants, so nothing in them needs escaping.

fn html(rejection: Rejection) -> String {
    let (code, reason) = (rejection.status.as_u16(), reason(rejection));
    let explanation = rejection.explanation;
    format!(
        "<!doctype html>\n<html lang=\"en\">\n<meta charset=\"utf-8\">\n\
         <meta name=\"viewport\" content=\"width=device-width\">\n\
         <title>{code} {reason}</title>\n<h1>{code} {reason}</h1>\n<p>{explanation}</p>\n</html>\n"
    )
}

fn json(rejection: Rejection) -> String {
    let (code, reason) = (rejection.status.as_u16(), reason(rejection));
    let explanation = rejection.explanation;
    format!("{{\"status\":{code},\"error\":\"{reason}\",\"message\":\"{explanation}\"}}\n")
}

/// The form with the highest quality (RFC 9110 section 12.5.1). Text where the client does not
/// care, and where it accepts none of them: a page in the wrong form says more than none.
fn choose(accept: &[u8]) -> Form {
    let accept = String::from_utf8_lossy(accept);
    let forms = [
        (Form::Text, "text/plain", "text/*"),
        (Form::Html, "text/html", "text/*"),
        (Form::Json, "application/json", "application/*"),
    ];
    let mut best = (0, Form::Text);
    for (form, exact, range) in forms {
        let quality = quality(&accept, exact, range);
        if quality > best.0 {
            best = (quality, form);
        }
    }
    best.1
}

/// The quality of a media type in thousandths; the most specific range that names it counts.
fn quality(accept: &str, exact: &str, range: &str) -> u16 {
    let mut best = (0, 0);
    for item in accept.split(',') {
        let mut parts = item.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let specific = if name.eq_ignore_ascii_case(exact) {
            3
        } else if name.eq_ignore_ascii_case(range) {
            2
        } else if name == "*/*" {
            1
        } else {
            continue;
        };
        let weight = parts.find_map(|it| it.strip_prefix("q=").or_else(|| it.strip_prefix("Q=")));
        let weight = weight.map_or(1.0, |it| it.parse::<f32>().unwrap_or(0.0));
        if specific > best.0 {
            best = (specific, (weight.clamp(0.0, 1.0) * 1000.0) as u16);
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use http::StatusCode;
    use http_body_util::BodyExt as _;

    use super::*;

    #[test]
    fn the_client_chooses_the_form() {
        for (accept, form) in [
            ("*/*", Form::Text),
            ("", Form::Text),
            ("image/png", Form::Text),
            ("text/html,application/xhtml+xml,*/*;q=0.8", Form::Html),
            ("application/json", Form::Json),
            ("application/json, text/html;q=0.5", Form::Json),
            ("text/html;q=0.2, application/*;q=0.3", Form::Json),
            ("text/plain;q=0, text/*", Form::Html),
            ("text/html;q=broken, application/json;q=0.1", Form::Json),
        ] {
            assert_eq!(choose(accept.as_bytes()), form, "{accept}");
        }
    }

    #[tokio::test]
    async fn a_page_tells_the_status_and_keeps_the_headers() {
        let mut response = Rejection::try_again("The server is too busy.");
        let accept = HeaderValue::from_static("application/json");
        render(Some(&accept), &mut response);
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()["retry-after"], "1");
        assert_eq!(response.headers()["content-type"], "application/json");
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(
            body,
            "{\"status\":503,\"error\":\"Service Unavailable\",\"message\":\"The server is too busy.\"}\n"
        );
    }
}
