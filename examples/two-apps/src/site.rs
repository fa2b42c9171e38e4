//! The public site: the files of one directory.

use std::{
    convert::Infallible,
    fmt::Write as _,
    fs::{self, File},
    io::{self, Read},
    ops::ControlFlow,
    path::{Path, PathBuf},
};

use bytes::Bytes;
use futures_util::stream;
use http::{
    HeaderValue, Method, Request, Response, StatusCode,
    header::{
        ALLOW, CACHE_CONTROL, CONTENT_LENGTH, CONTENT_SECURITY_POLICY, CONTENT_TYPE,
        X_CONTENT_TYPE_OPTIONS,
    },
    request::Parts,
};
use http_body::Frame;
use http_body_util::StreamBody;
use tower::Service;
use tower_prefork::BoxError;
use tower_wsgi::{Body, blocking::BlockingPool, handler::WsgiHandler};

/// A file is read in pieces of this size.
const PIECE: u64 = 64 << 10;

/// The maximum number of files in the index.
const LISTED: usize = 1000;

/// The finished site: middleware, blocking code on the pool, response middleware.
///
/// # Errors
///
/// When the directory cannot be read. The server refuses to start then.
pub(crate) fn handler<B: http_body::Body + Send + 'static>(
    pool: &BlockingPool,
    root: PathBuf,
) -> Result<
    impl Service<Request<B>, Response = Response<Body>, Error = Infallible, Future: Send>
    + Clone
    + Send
    + 'static
    + use<B>,
    BoxError,
> {
    fs::read_dir(&root)
        .map_err(|error| format!("cannot read the directory {}: {error}", root.display()))?;
    Ok(WsgiHandler::builder()
        .middleware(only_reads)
        .blocking(pool, move |request: &mut Request<B>| {
            respond(&root, request)
        })
        .response_middleware(protect)
        .response_middleware(revalidate)
        .build())
}

/// Rejects other methods than GET and HEAD on the event loop, before a thread is used.
fn only_reads(request: &mut Parts) -> ControlFlow<Response<Body>> {
    if matches!(request.method, Method::GET | Method::HEAD) {
        return ControlFlow::Continue(());
    }
    let mut response = Response::new(Body::from("this site allows GET and HEAD\n"));
    *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    let allowed = HeaderValue::from_static("GET, HEAD");
    response.headers_mut().insert(ALLOW, allowed);
    ControlFlow::Break(response)
}

/// A page may load resources of this site only.
fn protect(_: &Parts, mut response: Response<Body>) -> Response<Body> {
    let policy = HeaderValue::from_static("default-src 'self'; frame-ancestors 'none'");
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, policy);
    headers.insert(X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff"));
    response
}

/// The files may change at any time, so caches must revalidate them.
fn revalidate(_: &Parts, mut response: Response<Body>) -> Response<Body> {
    let no_cache = HeaderValue::from_static("no-cache");
    response.headers_mut().insert(CACHE_CONTROL, no_cache);
    response
}

/// Blocks on the file system. `None` becomes a 404, an error a 500.
fn respond<B>(root: &Path, request: &Request<B>) -> io::Result<Option<Response<Body>>> {
    match request.uri().path().strip_prefix('/') {
        Some("") => index(root).map(Some),
        Some(name) if is_public(name) => file(root, name, request.method()),
        _ => Ok(None),
    }
}

fn index(root: &Path) -> io::Result<Response<Body>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(root)? {
        let entry = entry?;
        let Ok(name) = entry.file_name().into_string() else {
            continue;
        };
        if is_public(&name) && entry.file_type()?.is_file() {
            names.push(name);
        }
        if names.len() == LISTED {
            break;
        }
    }
    names.sort_unstable();
    let mut page = String::from("<!doctype html>\n<title>Files</title>\n<ul>\n");
    // A public name has no character that would have to be escaped.
    for name in names {
        let _ = writeln!(page, "<li><a href=\"/{name}\">{name}</a>");
    }
    page.push_str("</ul>\n");
    let mut response = Response::new(Body::from(page));
    let html = HeaderValue::from_static("text/html; charset=utf-8");
    response.headers_mut().insert(CONTENT_TYPE, html);
    Ok(response)
}

fn file(root: &Path, name: &str, method: &Method) -> io::Result<Option<Response<Body>>> {
    let path = root.join(name);
    // A link could lead out of the directory, and a pipe could block for ever.
    match fs::symlink_metadata(&path) {
        Ok(metadata) if metadata.is_file() => {}
        Ok(_) => return Ok(None),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    }
    let file = File::open(&path)?;
    let length = file.metadata()?.len();
    let body = if method == Method::HEAD {
        Body::empty()
    } else {
        let frames = pieces(file, length).map(|piece| piece.map(Frame::data));
        Body::new(StreamBody::new(stream::iter(frames)))
    };
    let mut response = Response::new(body);
    let headers = response.headers_mut();
    headers.insert(CONTENT_LENGTH, length.into());
    headers.insert(CONTENT_TYPE, content_type(name));
    Ok(Some(response))
}

/// Reads the file while it is sent, on the thread of the handler.
fn pieces(file: File, length: u64) -> impl Iterator<Item = io::Result<Bytes>> {
    // Bytes that are appended meanwhile are not sent: the response already has its length.
    let mut rest = file.take(length);
    std::iter::from_fn(move || {
        let mut piece = Vec::with_capacity(usize::try_from(PIECE.min(rest.limit())).unwrap_or(0));
        match (&mut rest).take(PIECE).read_to_end(&mut piece) {
            Ok(0) => None,
            Ok(_) => Some(Ok(piece.into())),
            Err(error) => Some(Err(error)),
        }
    })
}

/// One file of the directory itself, not hidden, of a name that needs no escaping anywhere.
fn is_public(name: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'-' | b'_');
    !name.is_empty() && !name.starts_with('.') && name.bytes().all(plain)
}

fn content_type(name: &str) -> HeaderValue {
    let extension = name.rsplit_once('.').map_or("", |(_, extension)| extension);
    HeaderValue::from_static(match extension {
        "css" => "text/css; charset=utf-8",
        "html" => "text/html; charset=utf-8",
        "jpg" | "jpeg" => "image/jpeg",
        "js" => "text/javascript; charset=utf-8",
        "json" => "application/json",
        "md" | "toml" | "txt" => "text/plain; charset=utf-8",
        "png" => "image/png",
        "svg" => "image/svg+xml",
        _ => "application/octet-stream",
    })
}

#[cfg(test)]
mod tests {
    use http_body_util::BodyExt as _;
    use tempfile::TempDir;
    use tower::ServiceExt as _;

    use super::*;

    fn directory() -> TempDir {
        let directory = tempfile::tempdir().expect("a temporary directory can be made");
        let write = |name: &str, content: &[u8]| {
            fs::write(directory.path().join(name), content).expect("it can be written to");
        };
        write("large.txt", &vec![b'x'; 200_000]);
        write("empty.css", b"");
        write(".hidden", b"secret");
        fs::create_dir(directory.path().join("folder")).expect("it can be made");
        let link = directory.path().join("link");
        std::os::unix::fs::symlink("/etc/passwd", link).expect("it can be made");
        directory
    }

    async fn ask(directory: &TempDir, method: Method, path: &str) -> (Response<()>, Bytes) {
        let pool = BlockingPool::new(1);
        let site = handler(&pool, directory.path().to_owned()).expect("the directory is there");
        let request = Request::builder().method(method).uri(path);
        let request = request.body(Body::empty()).expect("it is valid");
        let Ok(response) = site.oneshot(request).await;
        let (head, body) = response.into_parts();
        let body = body.collect().await.expect("the body is whole").to_bytes();
        (Response::from_parts(head, ()), body)
    }

    #[tokio::test]
    async fn a_file_is_served_with_its_length_and_type() {
        let directory = directory();
        let (head, body) = ask(&directory, Method::GET, "/large.txt").await;
        assert_eq!(head.headers()[CONTENT_LENGTH], "200000");
        assert_eq!(head.headers()[CONTENT_TYPE], "text/plain; charset=utf-8");
        assert_eq!(body, vec![b'x'; 200_000]);

        let (head, body) = ask(&directory, Method::GET, "/empty.css").await;
        assert_eq!((head.status(), body.as_ref()), (StatusCode::OK, &b""[..]));

        let (head, body) = ask(&directory, Method::HEAD, "/large.txt").await;
        assert_eq!(head.headers()[CONTENT_LENGTH], "200000");
        assert!(body.is_empty());
    }

    #[tokio::test]
    async fn the_index_lists_what_is_served() {
        let (head, body) = ask(&directory(), Method::GET, "/").await;
        assert_eq!(head.headers()[CONTENT_TYPE], "text/html; charset=utf-8");
        let page = str::from_utf8(&body).expect("it is text");
        assert_eq!(page.matches("<li>").count(), 2, "{page}");
        assert!(page.contains("\"/large.txt\"") && page.contains("\"/empty.css\""));
    }

    #[tokio::test]
    async fn nothing_else_is() {
        let directory = directory();
        for path in [
            "/none", "/.hidden", "/folder", "/link", "/..", "/folder/", "//", "/%2e%2e",
        ] {
            let (head, _) = ask(&directory, Method::GET, path).await;
            assert_eq!(head.status(), StatusCode::NOT_FOUND, "{path}");
        }
    }

    #[tokio::test]
    async fn every_response_carries_the_policy() {
        let directory = directory();
        for (method, path, status) in [
            (Method::GET, "/", StatusCode::OK),
            (Method::GET, "/none", StatusCode::NOT_FOUND),
            (Method::POST, "/", StatusCode::METHOD_NOT_ALLOWED),
        ] {
            let (head, _) = ask(&directory, method, path).await;
            assert_eq!(head.status(), status);
            assert_eq!(head.headers()[X_CONTENT_TYPE_OPTIONS], "nosniff");
            assert_eq!(head.headers()[CACHE_CONTROL], "no-cache");
        }
    }

    #[test]
    fn a_directory_that_is_not_there_is_an_error_of_the_start() {
        let started = handler::<Body>(&BlockingPool::new(1), "/nowhere/at/all".into());
        let error = started.err().expect("it is not there").to_string();
        assert!(error.starts_with("cannot read the directory /nowhere/at/all: "));
    }
}
