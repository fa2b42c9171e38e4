//! Tests of the whole service, on the event loop and on a pool.

mod close;
mod deferred;
mod environ;
mod file;
mod input;
mod length;
mod model;
#[cfg(feature = "axum")]
mod router;
mod start;
mod write;

use std::{
    io,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering::SeqCst},
        mpsc,
    },
    task::{Context, Poll, Waker},
    time::Duration,
};

use bytes::Bytes;
use http::{HeaderMap, Method, Request, Response};
use http_body::Body as _;
use http_body_util::BodyExt as _;
use tower::ServiceExt as _;
use tower_layer::Layer as _;

use super::{Application, Environ, StartError, StartResponse, Write, WsgiService};
use crate::{
    Body, BoxError, BufferedBody,
    blocking::{BlockingLayer, BlockingPool},
};

/// A deadline that no test reaches, also on a slow machine.
const LONG: Duration = Duration::from_secs(60);

const PLAIN: [(&str, &str); 1] = [("content-type", "text/plain")];

type Piece = Result<Bytes, BoxError>;

fn piece(text: &'static str) -> Piece {
    Ok(Bytes::from(text))
}

/// An iterator over pieces whose size hint is unknown.
fn stream(pieces: impl IntoIterator<Item = Piece>) -> impl Iterator<Item = Piece> {
    let mut pieces = pieces.into_iter();
    std::iter::from_fn(move || pieces.next())
}

/// What a client sees.
#[derive(Debug, PartialEq)]
struct Seen {
    status: u16,
    headers: HeaderMap,
    /// The exact size hint of the body.
    length: Option<u64>,
    /// The whole body, or the part before an error.
    body: Result<String, String>,
}

async fn see<B>(response: Response<B>) -> Seen
where
    B: http_body::Body<Data = Bytes>,
{
    let (head, body) = response.into_parts();
    let mut body = std::pin::pin!(body);
    let length = body.size_hint().exact();
    let mut bytes = Vec::new();
    let mut whole = true;
    while let Some(frame) = body.frame().await {
        let Ok(frame) = frame else {
            whole = false;
            break;
        };
        let data = frame.into_data().unwrap();
        assert!(!data.is_empty(), "an empty piece is sent");
        bytes.extend(data);
    }
    let text = String::from_utf8(bytes).unwrap();
    Seen {
        status: head.status.as_u16(),
        headers: head.headers,
        length,
        body: if whole { Ok(text) } else { Err(text) },
    }
}

fn request(method: Method) -> Request<BufferedBody> {
    let request = Request::builder().method(method).uri("/path");
    request.body(BufferedBody::default()).unwrap()
}

/// What a client of the application sees, the same on the event loop and on a pool.
async fn ask<A: Application>(method: Method, application: A) -> Seen {
    let service = WsgiService::new(application);
    let Ok(response) = service.clone().oneshot(request(method.clone())).await;
    let on_loop = see(response).await;
    let pool = BlockingPool::new(1);
    let service = BlockingLayer::new(&pool).layer(service);
    let Ok(response) = service.oneshot(request(method)).await;
    let mut on_pool = see(response).await;
    pool.drain(LONG).await.unwrap();
    // On a pool, what is written is sent before the length is known.
    on_pool.length = on_pool.length.or(on_loop.length);
    assert_eq!(on_pool, on_loop, "on a pool, and on the loop");
    on_loop
}

async fn get<A: Application>(application: A) -> Seen {
    ask(Method::GET, application).await
}

/// Counts how often an iterator was made, asked and closed.
#[derive(Clone, Default)]
struct Counts {
    made: Arc<AtomicUsize>,
    asked: Arc<AtomicUsize>,
    closed: Arc<AtomicUsize>,
}

struct Counted<I> {
    pieces: I,
    counts: Counts,
}

impl Counts {
    fn count<I>(&self, pieces: impl IntoIterator<IntoIter = I>) -> Counted<I> {
        self.made.fetch_add(1, SeqCst);
        Counted {
            pieces: pieces.into_iter(),
            counts: self.clone(),
        }
    }

    fn asked(&self) -> usize {
        self.asked.load(SeqCst)
    }

    fn made(&self) -> usize {
        self.made.load(SeqCst)
    }

    fn closed(&self) -> usize {
        self.closed.load(SeqCst)
    }
}

impl<I: Iterator> Iterator for Counted<I> {
    type Item = I::Item;

    fn next(&mut self) -> Option<I::Item> {
        self.counts.asked.fetch_add(1, SeqCst);
        self.pieces.next()
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.pieces.size_hint()
    }
}

impl<I> Drop for Counted<I> {
    fn drop(&mut self) {
        self.counts.closed.fetch_add(1, SeqCst);
    }
}
