//! Compressed responses: tower-http's `CompressionLayer`, which responses it gets, and a bound on its memory.

use std::sync::{
    Arc,
    atomic::{AtomicUsize, Ordering::Relaxed},
};

use http::{HeaderMap, HeaderValue, Response, StatusCode, header};
use http_body::Body;
use http_body_util::BodyExt as _;
use tower::{Layer as _, ServiceExt as _, util::BoxCloneService};
use tower_http::compression::{
    CompressionBody, CompressionLayer,
    predicate::{Predicate, SizeAbove},
};

use super::boxed::{BoxedService, LayeredBody, boxed_body};
use crate::config::Config;

/// Responses that are compressed at once. gzip takes 0.3 MiB for each, zstd 3, Brotli 6.
const MAX_COMPRESSED: usize = 32;

/// The layer, for the responses of one worker.
#[derive(Clone, Debug)]
pub(super) struct Compression {
    types: Arc<[String]>,
    min_length: u64,
    min_size: SizeAbove,
    running: Arc<AtomicUsize>,
}

/// In the extensions of a response that the service itself has encoded.
#[derive(Clone, Copy, Debug)]
struct EncodedByService;

impl Compression {
    pub(super) fn of(config: &Config) -> Self {
        Self {
            types: config
                .compress_types
                .iter()
                .map(|name| name.to_ascii_lowercase())
                .collect(),
            min_length: config.compress_min_size,
            min_size: SizeAbove::new(config.compress_min_size),
            running: Arc::default(),
        }
    }

    pub(super) fn around(self, service: BoxedService) -> BoxedService {
        let running = self.running.clone();
        let service = service.map_response(|mut response: Response<LayeredBody>| {
            if response.headers().contains_key(header::CONTENT_ENCODING) {
                response.extensions_mut().insert(EncodedByService);
            }
            response
        });
        // Its default levels: gzip 6, Brotli 4, zstd 3.
        let service = CompressionLayer::new().compress_when(self).layer(service);
        BoxCloneService::new(service.map_response(move |response| finish(response, &running)))
    }

    fn is_worth_it<B>(&self, response: &Response<B>) -> bool {
        let status = response.status();
        let headers = response.headers();
        !status.is_informational()
            && ![
                StatusCode::NO_CONTENT,
                StatusCode::PARTIAL_CONTENT,
                StatusCode::NOT_MODIFIED,
            ]
            .contains(&status)
            && self.has_type(headers)
            && !forbids_transformation(headers)
            && self.running.load(Relaxed) < MAX_COMPRESSED
    }

    fn has_type(&self, headers: &HeaderMap) -> bool {
        let value = headers.get(header::CONTENT_TYPE);
        let Some(value) = value.and_then(|value| value.to_str().ok()) else {
            return false;
        };
        let essence = value.split(';').next().unwrap_or_default().trim();
        let essence = essence.to_ascii_lowercase();
        // Its client waits for each event.
        essence != "text/event-stream"
            && self.types.iter().any(|name| match name.strip_suffix('*') {
                Some(kind) => essence.starts_with(kind),
                None => essence == *name,
            })
    }
}

impl Predicate for Compression {
    fn should_compress<B: Body>(&self, response: &Response<B>) -> bool {
        // The response to HEAD has a length and no body.
        let is_long_enough = match content_length(response.headers()) {
            Some(length) => length >= self.min_length,
            None => self.min_size.should_compress(response),
        };
        is_long_enough && self.is_worth_it(response)
    }
}

fn content_length(headers: &HeaderMap) -> Option<u64> {
    headers
        .get(header::CONTENT_LENGTH)?
        .to_str()
        .ok()?
        .parse()
        .ok()
}

fn forbids_transformation(headers: &HeaderMap) -> bool {
    let values = headers.get_all(header::CACHE_CONTROL).into_iter();
    let mut directives = values.flat_map(|value| value.as_bytes().split(|byte| *byte == b','));
    directives.any(|directive| directive.trim_ascii().eq_ignore_ascii_case(b"no-transform"))
}

/// Weakens the `ETag` of a response that has been compressed, and counts it until its end.
fn finish(
    mut response: Response<CompressionBody<LayeredBody>>,
    running: &Arc<AtomicUsize>,
) -> Response<LayeredBody> {
    let by_service = response.extensions_mut().remove::<EncodedByService>();
    if by_service.is_some() || !response.headers().contains_key(header::CONTENT_ENCODING) {
        return response.map(boxed_body);
    }
    weaken(response.headers_mut());
    let guard = RunningGuard::new(running);
    response.map(|body| {
        boxed_body(body.map_frame(move |frame| {
            let _running = &guard;
            frame
        }))
    })
}

/// The bytes are not those that the service has named (RFC 9110 section 8.8.1).
fn weaken(headers: &mut HeaderMap) {
    if let Some(tag) = headers.get_mut(header::ETAG)
        && !tag.as_bytes().starts_with(b"W/")
        && let Ok(weak) = HeaderValue::from_bytes(&[b"W/", tag.as_bytes()].concat())
    {
        *tag = weak;
    }
}

/// A response that is being compressed.
#[derive(Debug)]
struct RunningGuard(Arc<AtomicUsize>);

impl RunningGuard {
    fn new(running: &Arc<AtomicUsize>) -> Self {
        running.fetch_add(1, Relaxed);
        Self(running.clone())
    }
}

impl Drop for RunningGuard {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Relaxed);
    }
}
