//! The guest book: plain functions that block and do not know the server that calls them.

use std::error::Error;
use std::io::Read;
use std::thread;
use std::time::Duration;

use bytes::Bytes;
use http::header::{self, HeaderName, HeaderValue};
use http::{Method, Request, Response, StatusCode};

use crate::form::Form;
use crate::page;
use crate::store::{Store, is_busy};
use crate::upload;

/// The number of entries on the page.
const SHOWN: u32 = 50;

/// The longest that `/sleep` blocks, in milliseconds.
const MAX_SLEEP: u64 = 60_000;

/// The policy of the page: it may load its own style sheet and send its form.
const PAGE_POLICY: &str = "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'";

type BoxError = Box<dyn Error + Send + Sync>;

/// Responds to `request`, or returns `None` if the guest book does not have its path.
///
/// An error means that the body ended early or that the file failed: the client should get status 500 without its text.
pub(crate) fn respond<R: Read>(
    store: &Store,
    request: &mut Request<R>,
) -> Result<Option<Response<Bytes>>, BoxError> {
    let get = matches!(*request.method(), Method::GET | Method::HEAD);
    let post = request.method() == Method::POST;
    let response = match request.uri().path() {
        "/" if get => show(store, StatusCode::OK, &Form::default(), None),
        "/" if post => sign(store, request),
        "/" => Ok(not_allowed("GET, HEAD, POST")),
        "/upload" if post => receive(request),
        "/upload" => Ok(not_allowed("POST")),
        "/sleep" if get => Ok(sleep(request.uri().query())),
        "/sleep" => Ok(not_allowed("GET, HEAD")),
        _ => return Ok(None),
    };
    match response {
        Err(error) if error.downcast_ref().is_some_and(is_busy) => Ok(Some(busy())),
        response => response.map(Some),
    }
}

/// Responds to `/health`. It never blocks, so it may be called on the event loop.
pub(crate) fn health(method: &Method) -> Response<Bytes> {
    match *method {
        Method::GET | Method::HEAD => text(StatusCode::OK, "ok\n"),
        _ => not_allowed("GET, HEAD"),
    }
}

/// The page.
fn show(
    store: &Store,
    status: StatusCode,
    form: &Form,
    problem: Option<&str>,
) -> Result<Response<Bytes>, BoxError> {
    let page = page::render(&store.latest(SHOWN)?, form, problem);
    let mut response = body(status, "text/html; charset=utf-8", page);
    set(&mut response, header::CACHE_CONTROL, "no-cache");
    set(&mut response, header::CONTENT_SECURITY_POLICY, PAGE_POLICY);
    Ok(response)
}

/// Adds an entry, then redirects to the page, which can be reloaded without writing again.
fn sign<R: Read>(store: &Store, request: &mut Request<R>) -> Result<Response<Bytes>, BoxError> {
    let Some(form) = Form::read(request.body_mut())? else {
        let problem = "The form is too large; please write less.";
        return show(
            store,
            StatusCode::PAYLOAD_TOO_LARGE,
            &Form::default(),
            Some(problem),
        );
    };
    if let Some(problem) = form.problem() {
        return show(store, StatusCode::BAD_REQUEST, &form, Some(&problem));
    }
    store.insert(&form.name, &form.message)?;
    let mut response = text(StatusCode::SEE_OTHER, "");
    set(&mut response, header::LOCATION, "/");
    Ok(response)
}

/// The length and the SHA-256 of the body.
fn receive<R: Read>(request: &mut Request<R>) -> Result<Response<Bytes>, BoxError> {
    let upload::Summary { length, sha256 } = upload::summarize(request.body_mut())?;
    let json = format!("{{\"length\":{length},\"sha256\":\"{sha256}\"}}\n");
    Ok(body(StatusCode::OK, "application/json", json))
}

/// Blocks the thread for `ms` milliseconds, as a slow database would.
fn sleep(query: Option<&str>) -> Response<Bytes> {
    let milliseconds = form_urlencoded::parse(query.unwrap_or_default().as_bytes())
        .find(|(field, _)| field == "ms")
        .and_then(|(_, value)| value.parse().ok())
        .filter(|milliseconds| *milliseconds <= MAX_SLEEP);
    let Some(milliseconds) = milliseconds else {
        let problem = format!("ms must be a whole number from 0 to {MAX_SLEEP}\n");
        return text(StatusCode::BAD_REQUEST, problem);
    };
    thread::sleep(Duration::from_millis(milliseconds));
    text(StatusCode::OK, format!("slept for {milliseconds} ms\n"))
}

/// Other writers held the file for too long.
fn busy() -> Response<Bytes> {
    let mut response = text(
        StatusCode::SERVICE_UNAVAILABLE,
        "the guest book is busy: try again in a moment\n",
    );
    set(&mut response, header::RETRY_AFTER, "1");
    response
}

fn not_allowed(methods: &'static str) -> Response<Bytes> {
    let mut response = text(
        StatusCode::METHOD_NOT_ALLOWED,
        format!("this path allows {methods}\n"),
    );
    set(&mut response, header::ALLOW, methods);
    response
}

fn text(status: StatusCode, content: impl Into<Bytes>) -> Response<Bytes> {
    body(status, "text/plain; charset=utf-8", content)
}

fn body(
    status: StatusCode,
    content_type: &'static str,
    content: impl Into<Bytes>,
) -> Response<Bytes> {
    let mut response = Response::new(content.into());
    *response.status_mut() = status;
    set(&mut response, header::CONTENT_TYPE, content_type);
    set(&mut response, header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    response
}

fn set(response: &mut Response<Bytes>, name: HeaderName, value: &'static str) {
    response
        .headers_mut()
        .insert(name, HeaderValue::from_static(value));
}

#[cfg(test)]
mod tests {
    use std::io::{self, Cursor};
    use std::time::Instant;

    use tempfile::TempDir;

    use super::*;

    struct Book {
        store: Store,
        directory: TempDir,
    }

    impl Book {
        fn new() -> Self {
            let directory = tempfile::tempdir().expect("a temporary directory can be made");
            let store = Store::open(directory.path().join("book.sqlite3")).expect("it is new");
            Self { store, directory }
        }

        fn ask(&self, method: Method, uri: &str, content: &str) -> Response<Bytes> {
            self.try_ask(method, uri, content)
                .expect("it does not fail")
                .expect("the path is known")
        }

        fn try_ask(
            &self,
            method: Method,
            uri: &str,
            content: &str,
        ) -> Result<Option<Response<Bytes>>, BoxError> {
            let request = Request::builder().method(method).uri(uri);
            let mut request = request
                .body(Cursor::new(content.to_owned()))
                .expect("the request is valid");
            respond(&self.store, &mut request)
        }
    }

    fn content(response: &Response<Bytes>) -> &str {
        str::from_utf8(response.body()).expect("it is text")
    }

    #[test]
    fn a_signed_entry_is_on_the_page() {
        let book = Book::new();
        let response = book.ask(Method::POST, "/", "name=Ada&message=hello+%3Cworld%3E");
        assert_eq!(response.status(), StatusCode::SEE_OTHER);
        assert_eq!(response.headers()[header::LOCATION], "/");

        let response = book.ask(Method::GET, "/", "");
        assert_eq!(response.status(), StatusCode::OK);
        assert_eq!(
            response.headers()[header::CONTENT_TYPE],
            "text/html; charset=utf-8"
        );
        assert!(
            content(&response).contains("<h3>Ada</h3>"),
            "{}",
            content(&response)
        );
        assert!(
            content(&response).contains("hello &lt;world&gt;"),
            "{}",
            content(&response)
        );
    }

    #[test]
    fn a_bad_form_comes_back_with_the_sentence_and_writes_nothing() {
        let book = Book::new();
        let response = book.ask(Method::POST, "/", "name=&message=hello");
        assert_eq!(response.status(), StatusCode::BAD_REQUEST);
        assert!(content(&response).contains("Please give a name."));
        assert!(content(&response).contains("hello</textarea>"));
        assert_eq!(book.store.latest(9).expect("it can be read"), []);
    }

    #[test]
    fn a_form_that_is_too_large_is_refused() {
        let book = Book::new();
        let response = book.ask(Method::POST, "/", &"a".repeat(1 << 20));
        assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert!(content(&response).contains("The form is too large"));
    }

    #[test]
    fn the_response_to_an_upload_has_its_length_and_hash() {
        let response = Book::new().ask(Method::POST, "/upload", "abc");
        assert_eq!(response.headers()[header::CONTENT_TYPE], "application/json");
        assert_eq!(
            content(&response),
            "{\"length\":3,\"sha256\":\"ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad\"}\n"
        );
    }

    #[test]
    fn a_body_that_breaks_off_is_an_error() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(io::ErrorKind::UnexpectedEof.into())
            }
        }
        let book = Book::new();
        for path in ["/", "/upload"] {
            let request = Request::post(path).body(Broken);
            let result = respond(&book.store, &mut request.expect("the request is valid"));
            assert!(result.is_err(), "{path}");
        }
    }

    #[test]
    fn sleep_blocks_for_the_time_asked_for() {
        let start = Instant::now();
        let response = Book::new().ask(Method::GET, "/sleep?ms=30", "");
        assert_eq!(response.status(), StatusCode::OK);
        assert!(start.elapsed() >= Duration::from_millis(30));
    }

    #[test]
    fn sleep_is_bounded() {
        let book = Book::new();
        for query in [
            "",
            "?",
            "?ms=",
            "?ms=-1",
            "?ms=1.5",
            "?ms=60001",
            "?ms=99999999999999999999",
        ] {
            let response = book.ask(Method::GET, &format!("/sleep{query}"), "");
            assert_eq!(response.status(), StatusCode::BAD_REQUEST, "{query}");
            assert_eq!(
                content(&response),
                "ms must be a whole number from 0 to 60000\n"
            );
        }
    }

    #[test]
    fn health_is_ok() {
        assert_eq!(health(&Method::GET).status(), StatusCode::OK);
        let refused = health(&Method::POST);
        assert_eq!(refused.status(), StatusCode::METHOD_NOT_ALLOWED);
        assert_eq!(refused.headers()[header::ALLOW], "GET, HEAD");
    }

    #[test]
    fn the_response_to_head_is_that_to_get_without_a_body() {
        let book = Book::new();
        for path in ["/", "/sleep?ms=0"] {
            let (get, head) = (
                book.ask(Method::GET, path, ""),
                book.ask(Method::HEAD, path, ""),
            );
            assert_eq!(head.status(), get.status(), "{path}");
            assert_eq!(head.headers(), get.headers(), "{path}");
            assert_eq!(
                head.body(),
                get.body(),
                "{path}: the server leaves the body out"
            );
        }
    }

    #[test]
    fn other_methods_are_told_what_is_allowed() {
        let book = Book::new();
        for (method, path, allowed) in [
            (Method::PUT, "/", "GET, HEAD, POST"),
            (Method::GET, "/upload", "POST"),
            (Method::HEAD, "/upload", "POST"),
            (Method::POST, "/sleep?ms=60000", "GET, HEAD"),
        ] {
            let response = book.ask(method, path, "");
            assert_eq!(response.status(), StatusCode::METHOD_NOT_ALLOWED, "{path}");
            assert_eq!(response.headers()[header::ALLOW], allowed, "{path}");
        }
    }

    #[test]
    fn other_paths_are_left_to_others() {
        let book = Book::new();
        for path in ["/favicon.ico", "//", "/upload/", "/health"] {
            let response = book
                .try_ask(Method::GET, path, "")
                .expect("it does not fail");
            assert!(response.is_none(), "{path}");
        }
    }

    #[test]
    fn a_locked_file_is_status_503() {
        let mut book = Book::new();
        book.store = book.store.impatient();
        let other = rusqlite::Connection::open(book.directory.path().join("book.sqlite3"))
            .expect("the file is there");
        other
            .execute_batch("BEGIN IMMEDIATE")
            .expect("nobody writes");
        let response = book.ask(Method::POST, "/", "name=Ada&message=hello");
        assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(response.headers()[header::RETRY_AFTER], "1");
    }
}
