//! One directory: what `ServeDir` gets of a request, and what becomes of its response.

use std::io;

use http::{
    HeaderMap, HeaderName, HeaderValue, Method, Request, Response, StatusCode, Uri, Version,
    header, uri::PathAndQuery,
};
use tower_http::services::{
    ServeDir,
    fs::{DefaultServeDirFallback, ServeFileSystemResponseBody},
};

use super::{backend::Confined, cache_control::CacheControl, root::Root};
use crate::config::StaticFiles;

/// Bytes of a file that are read at once, and kept in memory for each response.
const CHUNK: usize = 64 << 10;

/// The fields that `ServeDir` reads, besides `Range`. Each is a list.
static FIELDS: [HeaderName; 5] = [
    header::ACCEPT_ENCODING,
    header::IF_MATCH,
    header::IF_MODIFIED_SINCE,
    header::IF_NONE_MATCH,
    header::IF_UNMODIFIED_SINCE,
];

type FileResponse = Response<ServeFileSystemResponseBody>;

/// A directory under the prefix of a path.
#[derive(Clone, Debug)]
pub(super) struct Mount {
    prefix: String,
    cache_control: CacheControl,
    files: ServeDir<DefaultServeDirFallback, Confined>,
}

/// A request for a file, without its body.
#[derive(Debug)]
pub(super) struct FileRequest {
    request: Request<()>,
    if_range: Option<HeaderValue>,
}

impl Mount {
    pub(super) fn new(files: &StaticFiles, cache_control: CacheControl) -> Self {
        // The paths of the request are beneath the root by themselves.
        let backend = Confined::new(Root::new(files.directory()));
        let serve = ServeDir::with_backend("", backend)
            .append_index_html_on_directories(false)
            .ignore_multi_range_requests(true)
            .precompressed_br()
            .precompressed_gzip()
            .precompressed_zstd()
            .with_buf_chunk_size(CHUNK);
        Self {
            prefix: files.prefix().to_owned(),
            cache_control,
            files: serve,
        }
    }

    pub(super) fn prefix(&self) -> &str {
        &self.prefix
    }

    /// The path of a file in the path of a request: what follows the prefix, from its "/" on.
    pub(super) fn path_of_file<'a>(&self, path: &'a str) -> Option<&'a str> {
        path.strip_prefix(&self.prefix)
            .filter(|rest| rest.starts_with('/'))
    }

    /// The file that the request is for, or `None` if there is none. To other methods than GET and HEAD the response is 405.
    pub(super) async fn serve(&self, file: FileRequest) -> io::Result<Option<FileResponse>> {
        let FileRequest { request, if_range } = file;
        let cache_control = self.cache_control.of(request.uri().path());
        let mut response = self.call(request.clone()).await?;
        let is_wrong = |part: &FileResponse| is_wrong_part(&request, if_range.as_ref(), part);
        if response.as_ref().is_some_and(is_wrong) {
            let mut whole = request;
            whole.headers_mut().remove(header::RANGE);
            response = self.call(whole).await?;
        }
        if let Some(response) = &mut response {
            complete(response, cache_control);
        }
        Ok(response)
    }

    async fn call(&self, request: Request<()>) -> io::Result<Option<FileResponse>> {
        match self.files.clone().try_call(request).await {
            Ok(response) if response.status() == StatusCode::NOT_FOUND => Ok(None),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            response => response.map(Some),
        }
    }
}

impl FileRequest {
    /// `None` if this can be no path of a file.
    pub(super) fn new(method: &Method, path: &str, headers: &HeaderMap) -> Option<Self> {
        let mut request = Request::new(());
        *request.method_mut() = method.clone();
        *request.version_mut() = Version::HTTP_11;
        *request.uri_mut() = Uri::from(PathAndQuery::try_from(path).ok()?);
        let fields = request.headers_mut();
        for name in &FIELDS {
            if let Some(value) = joined(headers, name) {
                fields.insert(name, value);
            }
        }
        let mut if_range = None;
        // Only GET has ranges, and a unit that is not known is to be ignored (RFC 9110 section 14.2).
        if *method == Method::GET
            && let Some(range) = headers.get(header::RANGE)
            && range.as_bytes().starts_with(b"bytes=")
        {
            fields.insert(header::RANGE, range.clone());
            if_range = headers.get(header::IF_RANGE).cloned();
        }
        Some(Self { request, if_range })
    }
}

/// The values of a field that stands in several lines, as one.
fn joined(headers: &HeaderMap, name: &HeaderName) -> Option<HeaderValue> {
    let mut values = headers.get_all(name).iter();
    let first = values.next()?;
    if values.next().is_none() {
        return Some(first.clone());
    }
    let values: Vec<_> = headers
        .get_all(name)
        .iter()
        .map(HeaderValue::as_bytes)
        .collect();
    HeaderValue::from_bytes(&values.join(&b", "[..])).ok()
}

/// Whether the client is to get the whole file in place of this response to its range.
fn is_wrong_part(
    request: &Request<()>,
    if_range: Option<&HeaderValue>,
    response: &FileResponse,
) -> bool {
    let Some(content_range) = response.headers().get(header::CONTENT_RANGE) else {
        return false;
    };
    // It has a part of another version (RFC 9110 section 13.1.5).
    if if_range.is_some_and(|expected| !is_same(expected, response.headers())) {
        return true;
    }
    match response.status() {
        // No part of an empty file can be named.
        StatusCode::PARTIAL_CONTENT => content_range.as_bytes().ends_with(b"/0"),
        // The file is shorter than the last bytes that it asks for (RFC 9110 section 14.1.2).
        _ => request.headers().get(header::RANGE).is_some_and(is_suffix),
    }
}

/// Whether a range is the last bytes of a file: at least one.
fn is_suffix(range: &HeaderValue) -> bool {
    let length = range
        .as_bytes()
        .strip_prefix(b"bytes=-")
        .unwrap_or_default();
    length.iter().all(u8::is_ascii_digit) && length.iter().any(|digit| *digit != b'0')
}

/// Whether `If-Range` names the file of this response, by a strong comparison.
fn is_same(if_range: &HeaderValue, response: &HeaderMap) -> bool {
    let validator = match if_range.as_bytes() {
        [b'"', ..] => header::ETAG,
        _ => header::LAST_MODIFIED,
    };
    response.get(validator) == Some(if_range)
}

/// Adds what `ServeDir` does not.
fn complete(response: &mut FileResponse, cache_control: HeaderValue) {
    let status = response.status();
    let is_file = status.is_success() || status == StatusCode::NOT_MODIFIED;
    let headers = response.headers_mut();
    if is_file {
        headers.insert(header::CACHE_CONTROL, cache_control);
    }
    if status == StatusCode::NOT_MODIFIED {
        // As the response 200 would have it (RFC 9110 section 15.4.5).
        headers.insert(header::VARY, HeaderValue::from_static("accept-encoding"));
    }
}
