//! `close()`: the drop of what the application has returned, once on every path.

use std::{convert::Infallible, panic::AssertUnwindSafe};

use futures_util::FutureExt as _;
use tower::Service;

use super::*;

/// Counts, and responds as the path of the request says.
fn application(counts: &Counts) -> impl Application<Chunks: Send> + use<> {
    let counts = counts.clone();
    move |environ: Environ, start_response: StartResponse| {
        let path = environ.uri().path().to_owned();
        let fails = path.clone();
        let pieces = (0..1000).map(move |n| match fails.as_str() {
            "/error-first" => Err("it failed".into()),
            "/error-later" if n == 3 => Err("it failed".into()),
            "/panic-first" => panic!("as the test wants it"),
            "/panic-later" if n == 3 => panic!("as the test wants it"),
            "/empty" => piece(""),
            _ => piece("some bytes"),
        });
        let chunks = counts.count(pieces);
        if path == "/panic-in-call" {
            panic!("as the test wants it");
        }
        if path == "/error-in-call" {
            return Err("it failed".into());
        }
        let length = if path == "/length" { "25" } else { "10000" };
        let short = if path == "/short" { "20000" } else { length };
        let write = match path.as_str() {
            "/not-started" => return Ok(chunks),
            "/204" => start_response.start("204 No Content", PLAIN)?,
            "/empty" => start_response.start("200 OK", PLAIN)?,
            _ => start_response.start("200 OK", [("content-length", short)])?,
        };
        if path == "/write" {
            write.write("written")?;
        }
        if path == "/file" {
            let file = tempfile::tempfile()?;
            file.set_len(10_000)?;
            start_response.send_file(file)?;
        }
        Ok::<_, BoxError>(chunks)
    }
}

const PATHS: [&str; 14] = [
    "/",
    "/empty",
    "/error-first",
    "/error-later",
    "/panic-first",
    "/panic-later",
    "/panic-in-call",
    "/error-in-call",
    "/not-started",
    "/length",
    "/short",
    "/204",
    "/write",
    "/file",
];

fn to(method: Method, path: &str) -> Request<BufferedBody> {
    let request = Request::builder().method(method).uri(path);
    request.body(BufferedBody::default()).unwrap()
}

/// Takes the response, or `frames` pieces of it, and drops the rest.
async fn take<S, B>(service: S, request: Request<BufferedBody>, frames: usize)
where
    S: Service<Request<BufferedBody>, Response = Response<B>, Error = Infallible>,
    B: http_body::Body,
{
    let take = async {
        let Ok(response) = service.oneshot(request).await;
        let mut body = std::pin::pin!(response.into_body());
        for _ in 0..frames {
            if !matches!(body.frame().await, Some(Ok(_))) {
                break;
            }
        }
    };
    let _ = AssertUnwindSafe(take).catch_unwind().await;
}

#[tokio::test]
async fn it_is_closed_once_on_every_path() {
    let pool = BlockingPool::new(2);
    for path in PATHS {
        for method in [Method::GET, Method::HEAD] {
            for frames in [0, 1, usize::MAX] {
                let counts = Counts::default();
                let service = WsgiService::new(application(&counts));
                take(service.clone(), to(method.clone(), path), frames).await;
                assert_eq!((counts.made(), counts.closed()), (1, 1), "{method} {path}");

                let blocking = BlockingLayer::new(&pool).layer(service);
                take(blocking, to(method.clone(), path), frames).await;
                let idle = async {
                    while pool.stats().busy > 0 {
                        tokio::task::yield_now().await;
                    }
                };
                tokio::time::timeout(LONG, idle).await.unwrap();
                assert_eq!((counts.made(), counts.closed()), (2, 2), "{method} {path}");
            }
        }
    }
}

#[tokio::test]
async fn for_a_client_that_leaves_the_queue_it_is_not_even_called() {
    let counts = Counts::default();
    let pool = BlockingPool::new(1);
    let service = BlockingLayer::new(&pool).layer(WsgiService::new(application(&counts)));
    {
        let (_first, second) = (
            service.clone().oneshot(to(Method::GET, "/")).now_or_never(),
            service.oneshot(to(Method::GET, "/")),
        );
        drop(second);
    }
    pool.drain(LONG).await.unwrap();
    assert!(counts.made() <= 1);
    assert_eq!(counts.made(), counts.closed());
}

#[tokio::test]
async fn the_client_need_not_wait_for_it() {
    /// Closes when the client has its response.
    struct Closes(Option<Piece>, Option<mpsc::Receiver<()>>);

    impl Iterator for Closes {
        type Item = Piece;

        fn next(&mut self) -> Option<Piece> {
            self.0.take()
        }
    }

    impl Drop for Closes {
        fn drop(&mut self) {
            let wait = self.1.take().unwrap();
            wait.recv_timeout(LONG).expect("the client has all of it");
        }
    }

    for written in [false, true] {
        let (say, wait) = mpsc::sync_channel(1);
        let wait = Mutex::new(Some(wait));
        let pool = BlockingPool::new(1);
        let service = BlockingLayer::new(&pool).layer(WsgiService::new(
            move |_: Environ, start_response: StartResponse| {
                let write = start_response.start("200 OK", PLAIN)?;
                if written {
                    write.write("written ")?;
                }
                Ok::<_, BoxError>(Closes(Some(piece("all")), wait.lock().unwrap().take()))
            },
        ));
        let seen = async {
            let Ok(response) = service.oneshot(request(Method::GET)).await;
            see(response).await
        };
        let seen = tokio::time::timeout(LONG / 2, seen).await.unwrap();
        assert!(seen.body.unwrap().ends_with("all"));
        say.send(()).unwrap();
        pool.drain(LONG).await.unwrap();
    }
}
