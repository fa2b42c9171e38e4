//! `wsgi.input`: a body that has arrived, and one that arrives while it is read.

use std::{collections::VecDeque, io::Read as _, thread};

use http_body::Frame;
use tokio::sync::mpsc as channel;
use tower::limit::ConcurrencyLimitLayer;

use super::*;
use crate::{test_helpers::Frames, wait_for_body::WaitForBodyLayer, wsgi::Input};

/// A body that comes over a channel, and counts how often it was polled.
struct Sent {
    frames: channel::Receiver<Result<Frame<Bytes>, BoxError>>,
    polls: Arc<AtomicUsize>,
}

impl http_body::Body for Sent {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        self.polls.fetch_add(1, SeqCst);
        self.frames.poll_recv(cx)
    }
}

/// Reads all of the body, and responds with it.
#[expect(clippy::needless_pass_by_value, reason = "an application is called so")]
fn echo(mut environ: Environ, start_response: StartResponse) -> Result<[Piece; 1], BoxError> {
    let mut text = Vec::new();
    environ.input().read_to_end(&mut text)?;
    start_response.start("200 OK", PLAIN)?;
    Ok([Ok(text.into())])
}

#[tokio::test]
async fn a_body_that_has_arrived_is_read_anywhere() {
    let body = || Request::new(BufferedBody::from("hello"));
    let service = WsgiService::new(echo);
    let Ok(response) = service.clone().oneshot(body()).await;
    assert_eq!(see(response).await.body, Ok("hello".into()));

    let service = WaitForBodyLayer::new(100).layer(service);
    let request = Request::new(Frames::new(["he", "llo"]));
    let Ok(response) = service.oneshot(request).await;
    assert_eq!(see(response).await.body, Ok("hello".into()));
}

#[tokio::test]
async fn a_body_that_arrives_is_polled_at_the_first_read_and_waited_for() {
    let (say, said) = mpsc::sync_channel(1);
    let (go, wait) = mpsc::sync_channel::<()>(1);
    let wait = Mutex::new(wait);
    let application = move |environ: Environ, start_response: StartResponse| {
        assert_eq!(environ.get("CONTENT_LENGTH"), None);
        say.send(())?;
        wait.lock().unwrap().recv_timeout(LONG)?;
        echo(environ, start_response)
    };
    let service = BlockingLayer::new(&BlockingPool::new(1)).layer(WsgiService::new(application));
    let (sender, frames) = channel::channel(8);
    let polls = Arc::new(AtomicUsize::new(0));
    let body = Sent {
        frames,
        polls: Arc::clone(&polls),
    };
    let response = tokio::spawn(service.oneshot(Request::new(body)));
    tokio::task::spawn_blocking(move || said.recv_timeout(LONG))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(polls.load(SeqCst), 0, "this would send 100 Continue");
    go.send(()).unwrap();
    let waits = async {
        while polls.load(SeqCst) == 0 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, waits).await.unwrap();
    for text in ["he", "", "llo"] {
        sender
            .send(Ok(Frame::data(Bytes::from(text))))
            .await
            .unwrap();
    }
    let trailers = Frame::trailers(HeaderMap::new());
    sender.send(Ok(trailers)).await.unwrap();
    drop(sender);
    let response = tokio::time::timeout(LONG, response).await.unwrap();
    let Ok(response) = response.unwrap();
    assert_eq!(see(response).await.body, Ok("hello".into()));
}

#[tokio::test]
async fn a_body_that_breaks_off_is_an_error_of_each_read() {
    let application = |mut environ: Environ, start_response: StartResponse| {
        let mut text = [0; 100];
        assert_eq!(environ.input().read(&mut [])?, 0);
        assert_eq!(environ.input().read(&mut text)?, 2);
        for _ in 0..3 {
            let error = environ.input().read(&mut text).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof);
            assert!(error.to_string().contains("cut off"), "{error}");
        }
        start_response.start("200 OK", PLAIN)?;
        Ok::<_, BoxError>([piece("noticed")])
    };
    let service = BlockingLayer::new(&BlockingPool::new(1)).layer(WsgiService::new(application));
    let error = io::Error::new(io::ErrorKind::UnexpectedEof, "cut off");
    let body = Frames::new(["ab"]).error(error);
    let Ok(response) = service.oneshot(Request::new(body)).await;
    assert_eq!(see(response).await.body, Ok("noticed".into()));
}

#[tokio::test]
async fn after_the_end_there_is_nothing_more() {
    let application = |mut environ: Environ, start_response: StartResponse| {
        let mut text = String::new();
        environ.input().read_to_string(&mut text)?;
        assert_eq!(environ.input().read(&mut [0; 10])?, 0);
        start_response.start("200 OK", PLAIN)?;
        Ok::<_, BoxError>([Ok(Bytes::from(text))])
    };
    let service = BlockingLayer::new(&BlockingPool::new(1)).layer(WsgiService::new(application));
    let Ok(response) = service
        .oneshot(Request::new(Frames::new(["ab", "cd"])))
        .await;
    assert_eq!(see(response).await.body, Ok("abcd".into()));
}

#[tokio::test]
async fn the_event_loop_cannot_wait_for_it_but_a_thread_of_the_application_can() {
    let application = |mut environ: Environ, start_response: StartResponse| {
        let error = environ.input().read(&mut [0; 10]).unwrap_err();
        assert!(error.to_string().contains("WaitForBodyLayer"), "{error}");
        let reader = thread::spawn(move || {
            let mut text = String::new();
            environ.input().read_to_string(&mut text).map(|_| text)
        });
        start_response.start("200 OK", PLAIN)?;
        Ok::<_, BoxError>([Ok(Bytes::from(reader.join().unwrap()?))])
    };
    let service = WsgiService::new(application);
    let Ok(response) = service.oneshot(Request::new(Frames::new(["hello"]))).await;
    assert_eq!(see(response).await.body, Ok("hello".into()));
}

#[tokio::test]
async fn it_is_read_below_a_service_that_had_to_wait() {
    let pool = BlockingPool::new(2);
    let (say, said) = mpsc::sync_channel(2);
    let (go, wait) = mpsc::sync_channel::<()>(2);
    let wait = Arc::new(Mutex::new(wait));
    let application = move |environ: Environ, start_response: StartResponse| {
        let _ = say.send(());
        wait.lock().unwrap().recv_timeout(LONG)?;
        echo(environ, start_response)
    };
    let limited = ConcurrencyLimitLayer::new(1).layer(WsgiService::new(application));
    let service = BlockingLayer::new(&pool).layer(limited);
    let calls: VecDeque<_> = ["first", "second"]
        .into_iter()
        .map(|text| tokio::spawn(service.clone().oneshot(Request::new(Frames::new([text])))))
        .collect();
    let both = async {
        while pool.stats().busy < 2 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, both).await.unwrap();
    tokio::task::spawn_blocking(move || said.recv_timeout(LONG))
        .await
        .unwrap()
        .unwrap();
    for _ in 0..2 {
        go.send(()).unwrap();
    }
    let mut bodies = Vec::new();
    for call in calls {
        let response = tokio::time::timeout(LONG, call).await.unwrap().unwrap();
        bodies.push(see(response.unwrap()).await.body.unwrap());
    }
    assert_eq!(bodies, ["first", "second"]);
}

#[test]
fn what_has_arrived_can_be_taken() {
    let input = Input::from(BufferedBody::from("hello"));
    assert_eq!(input.length(), Some(5));
    assert_eq!(
        input.into_buffered().unwrap().into_bytes().unwrap(),
        "hello"
    );
    let arriving = Input::new(Frames::new(["hello"]));
    assert_eq!(arriving.length(), None);
    assert!(arriving.into_buffered().is_none());
}
