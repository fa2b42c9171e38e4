//! Deferred responses: polled on the event loop, under the rules for chunks.

use std::{
    future::{pending, poll_fn},
    iter,
    panic::AssertUnwindSafe,
};

use futures_core::Stream;
use futures_util::{FutureExt as _, StreamExt as _, stream as streams};
use tokio::sync::{mpsc as channel, oneshot};
use tokio_test::{assert_pending, assert_ready, task};

use super::{super::Deferred, *};

/// Starts the response as its first act, then streams `pieces`.
fn later<S>(
    start_response: &StartResponse,
    status: &'static str,
    headers: &'static [(&'static str, &'static str)],
    pieces: S,
) -> Deferred
where
    S: Stream<Item = Piece> + Send + 'static,
{
    let starts = start_response.clone();
    let start = streams::once(async move {
        tokio::task::yield_now().await;
        let _ = starts.start(status, headers.iter().copied());
        piece("")
    });
    start_response.defer(start.chain(pieces))
}

/// Pieces that are ready at the second poll.
fn slowly(
    pieces: impl IntoIterator<Item = Piece, IntoIter: Send> + 'static,
) -> impl Stream<Item = Piece> + Send {
    streams::iter(pieces).then(|piece| async {
        tokio::task::yield_now().await;
        piece
    })
}

fn channel_stream(mut receiver: channel::Receiver<Piece>) -> impl Stream<Item = Piece> + Send {
    streams::poll_fn(move |cx| receiver.poll_recv(cx))
}

/// What a client sees of a response that starts with these fields and streams these pieces.
async fn stream_of(
    method: Method,
    status: &'static str,
    headers: &'static [(&'static str, &'static str)],
    pieces: fn() -> Vec<Piece>,
) -> Seen {
    ask(method, move |_, start_response: StartResponse| {
        Ok::<_, BoxError>(later(&start_response, status, headers, slowly(pieces())))
    })
    .await
}

#[tokio::test]
async fn the_pieces_come_in_order_after_the_head() {
    let seen = stream_of(Method::GET, "201 Created", &PLAIN, || {
        vec![piece("a"), piece(""), piece("b"), piece("c")]
    })
    .await;
    assert_eq!(
        (seen.status, seen.length, seen.body),
        (201, None, Ok("abc".into()))
    );
    assert_eq!(seen.headers["content-type"], "text/plain");
    let empty = stream_of(Method::GET, "200 OK", &PLAIN, Vec::new).await;
    assert_eq!(
        (empty.status, empty.length, empty.body),
        (200, Some(0), Ok(String::new()))
    );
}

#[tokio::test]
async fn a_stream_that_is_known_to_end_has_a_length() {
    let seen = get(|_, start_response: StartResponse| {
        start_response.start("200 OK", PLAIN)?;
        Ok::<_, BoxError>(start_response.defer(streams::iter([piece("whole")])))
    })
    .await;
    assert_eq!((seen.length, seen.body), (Some(5), Ok("whole".into())));
}

#[tokio::test]
async fn the_length_is_kept_to() {
    let long = stream_of(Method::GET, "200 OK", &[("content-length", "3")], || {
        vec![piece("ab"), piece("cd"), Err("not asked for".into())]
    })
    .await;
    assert_eq!((long.length, long.body), (Some(3), Ok("abc".into())));
    let short = stream_of(Method::GET, "200 OK", &[("content-length", "3")], || {
        vec![piece("a")]
    })
    .await;
    assert_eq!((short.length, short.body), (Some(3), Err("a".into())));
    let none = stream_of(Method::GET, "200 OK", &[("content-length", "3")], Vec::new).await;
    assert_eq!(none.status, 500, "nothing was sent");
}

#[tokio::test]
async fn responses_without_a_body_have_none() {
    for (method, status) in [
        (Method::HEAD, "200 OK"),
        (Method::GET, "204 No Content"),
        (Method::GET, "304 Not Modified"),
    ] {
        let seen = stream_of(method, status, &PLAIN, || {
            vec![piece("a"), Err("not asked for".into())]
        })
        .await;
        assert_eq!(seen.status.to_string(), status[..3]);
        assert_eq!(seen.body, Ok(String::new()));
    }
    let written = ask(Method::HEAD, |_, start_response: StartResponse| {
        let write = start_response.start("200 OK", PLAIN)?;
        let endless = streams::once(async move {
            write.write("not sent")?;
            pending().await
        });
        Ok::<_, BoxError>(start_response.defer(endless))
    })
    .await;
    assert_eq!((written.status, written.body), (200, Ok(String::new())));
}

#[tokio::test]
async fn an_error_or_a_panic_before_the_first_piece_is_500_and_later_a_broken_end() {
    for panics in [false, true] {
        let fail = move || -> Piece {
            assert!(!panics, "as the test wants it");
            Err("it failed".into())
        };
        for first in [&[][..], &["part"]] {
            let seen = get(move |_, start_response: StartResponse| {
                let pieces = streams::iter(first.iter().map(|text| piece(text)));
                let failure = streams::once(async move { fail() });
                let pieces = pieces.chain(failure);
                Ok::<_, BoxError>(later(&start_response, "200 OK", &PLAIN, pieces))
            })
            .await;
            let expected = if first.is_empty() { 500 } else { 200 };
            assert_eq!(seen.status, expected);
            assert_eq!(seen.body.is_err(), !first.is_empty());
        }
    }
}

#[tokio::test]
async fn without_a_start_it_is_500() {
    for text in ["", "a piece"] {
        let seen = get(move |_, start_response: StartResponse| {
            Ok::<_, BoxError>(start_response.defer(slowly([piece(text)])))
        })
        .await;
        assert_eq!(seen.status, 500);
    }
}

#[tokio::test]
async fn an_error_may_restart_until_the_first_piece() {
    let seen = get(|_, start_response: StartResponse| {
        start_response.start("200 OK", PLAIN)?;
        let restarts = start_response.clone();
        let pieces = streams::once(async move {
            tokio::task::yield_now().await;
            let error: BoxError = "it failed".into();
            restarts.restart("503 Later", PLAIN, error)?;
            piece("later")
        });
        Ok::<_, BoxError>(start_response.defer(pieces))
    })
    .await;
    assert_eq!((seen.status, seen.body), (503, Ok("later".into())));
}

#[tokio::test]
async fn what_is_written_comes_in_its_place() {
    let seen = get(|_, start_response: StartResponse| {
        // On a pool this part is sent by the thread.
        let write = start_response.start("200 OK", [("content-length", "7")])?;
        write.write("1")?;
        let mut count = 0;
        let pieces = streams::poll_fn(move |cx| {
            count += 1;
            assert!(!write.waits());
            match count {
                1 => {
                    write.write("2").unwrap();
                    Poll::Ready(Some(piece("3")))
                }
                2 => {
                    write.write("4").unwrap();
                    cx.waker().wake_by_ref();
                    Poll::Pending
                }
                3 => Poll::Ready(Some(piece("5"))),
                4 => {
                    write.write("6").unwrap();
                    Poll::Ready(Some(piece("7")))
                }
                _ => Poll::Ready(None),
            }
        });
        Ok::<_, BoxError>(start_response.defer(pieces))
    })
    .await;
    assert_eq!((seen.status, seen.body), (200, Ok("1234567".into())));
}

#[tokio::test]
async fn what_was_written_before_keeps_to_the_length_with_the_rest() {
    for (length, expected) in [
        ("3", Ok("abc".to_owned())),
        ("2", Ok("ab".to_owned())),
        ("4", Err("abc".to_owned())),
    ] {
        let seen = get(move |_, start_response: StartResponse| {
            let write = start_response.start("200 OK", [("content-length", length)])?;
            write.write("ab")?;
            Ok::<_, BoxError>(start_response.defer(slowly([piece("c")])))
        })
        .await;
        assert_eq!((seen.status, seen.body), (200, expected));
    }
}

#[tokio::test]
async fn a_deferred_response_that_is_not_returned_is_closed() {
    let counts = Counts::default();
    let theirs = counts.clone();
    let seen = get(move |_, start_response: StartResponse| {
        start_response.start("200 OK", PLAIN)?;
        drop(start_response.defer(streams::iter(theirs.count([piece("dropped")]))));
        Err::<[Piece; 0], BoxError>("it failed".into())
    })
    .await;
    assert_eq!((seen.status, counts.closed()), (500, 2));
}

#[tokio::test]
async fn a_thread_is_free_while_a_response_waits() {
    let pool = BlockingPool::new(1);
    let (send, wait) = oneshot::channel();
    let wait = Mutex::new(Some(wait));
    let service = BlockingLayer::new(&pool).layer(WsgiService::new(
        move |environ: Environ, start_response: StartResponse| {
            start_response.start("200 OK", PLAIN)?;
            let wait = match environ.uri().path() {
                "/wait" => wait.lock().unwrap().take(),
                _ => None,
            };
            Ok::<_, BoxError>(start_response.defer(streams::once(async {
                if let Some(wait) = wait {
                    wait.await?;
                }
                piece("done")
            })))
        },
    ));
    let waits = Request::get("/wait").body(BufferedBody::default()).unwrap();
    let waiting = tokio::spawn(service.clone().oneshot(waits));
    // Its job is done, though its response is not.
    pool.run(|| ()).await.unwrap();
    let Ok(response) = service.oneshot(request(Method::GET)).await;
    assert_eq!(see(response).await.body, Ok("done".into()));
    assert!(!waiting.is_finished());
    send.send(()).unwrap();
    let Ok(response) = waiting.await.unwrap();
    assert_eq!(see(response).await.body, Ok("done".into()));
}

/// Where a client leaves.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Leaves {
    BeforeHead,
    AfterHead,
    AfterPiece,
    AtTheEnd,
}

#[tokio::test]
async fn the_stream_is_dropped_once_wherever_the_client_leaves() {
    for on_pool in [false, true] {
        for leaves in [
            Leaves::BeforeHead,
            Leaves::AfterHead,
            Leaves::AfterPiece,
            Leaves::AtTheEnd,
        ] {
            let counts = Counts::default();
            let theirs = counts.clone();
            let (sender, receiver) = channel::channel(8);
            let receiver = Mutex::new(Some(receiver));
            let application = move |_: Environ, start_response: StartResponse| {
                start_response.start("200 OK", PLAIN)?;
                let pieces = receiver.lock().unwrap().take().unwrap();
                let guard = theirs.count([0]);
                let pieces = channel_stream(pieces).inspect(move |_| _ = &guard);
                Ok::<_, BoxError>(start_response.defer(pieces))
            };
            let pool = BlockingPool::new(1);
            let service = WsgiService::new(application);
            let mut response: Pin<Box<dyn Future<Output = Response<Body>>>> = if on_pool {
                let service = BlockingLayer::new(&pool).layer(service);
                Box::pin(service.oneshot(request(Method::GET)).map(Result::unwrap))
            } else {
                let response = service.oneshot(request(Method::GET));
                Box::pin(response.map(|response| response.unwrap().map(Body::new)))
            };
            assert!(futures_util::poll!(&mut response).is_pending());
            // The job has ended, so that the response is deferred.
            pool.run(|| ()).await.unwrap();
            assert!(futures_util::poll!(&mut response).is_pending());
            assert_eq!((counts.made(), counts.closed()), (1, 0));
            if leaves != Leaves::BeforeHead {
                sender.send(piece("a")).await.unwrap();
                let mut body = response.as_mut().await.into_body();
                if leaves != Leaves::AfterHead {
                    assert_eq!(
                        body.frame().await.unwrap().unwrap().into_data().unwrap(),
                        "a"
                    );
                }
                if leaves == Leaves::AtTheEnd {
                    drop(sender);
                    assert!(body.frame().await.is_none());
                }
            }
            drop(response);
            assert_eq!(counts.closed(), 1, "{leaves:?} on a pool: {on_pool}");
        }
    }
}

#[test]
fn no_piece_is_asked_for_before_there_is_room() {
    let counts = Counts::default();
    let theirs = counts.clone();
    let mut service = WsgiService::new(move |_: Environ, start_response: StartResponse| {
        start_response.start("200 OK", PLAIN)?;
        let pieces = streams::iter(theirs.count(iter::repeat_with(|| piece("x"))));
        Ok::<_, BoxError>(start_response.defer(pieces))
    });
    let mut response = task::spawn(tower::Service::call(&mut service, request(Method::GET)));
    let Ok(response) = assert_ready!(response.poll());
    assert_eq!(counts.asked(), 1, "for the head");
    let body = response.into_body();
    let mut body = task::spawn(body);
    for count in 1..5 {
        let frame = assert_ready!(body.enter(|cx, body| body.poll_frame(cx)));
        assert!(frame.unwrap().is_ok());
        assert_eq!(counts.asked(), count);
        assert_pending!(
            body.enter(|cx, body| body.poll_frame(cx)),
            "the server sends it first"
        );
        assert!(body.is_woken());
    }
}

#[tokio::test]
async fn a_writer_waits_for_room_and_is_woken_when_there_is_some_or_the_client_has_left() {
    let (say, said) = oneshot::channel();
    let say = Mutex::new(Some(say));
    let service = WsgiService::new(move |_: Environ, start_response: StartResponse| {
        let write = Arc::new(start_response.start("200 OK", PLAIN)?);
        say.lock().unwrap().take().unwrap().send(write).ok();
        Ok::<_, BoxError>(start_response.defer(streams::pending()))
    });
    let mut response = Box::pin(service.oneshot(request(Method::GET)));
    assert!(futures_util::poll!(&mut response).is_pending());
    let write = said.await.unwrap();
    let mut room = task::spawn(write.room());
    assert_ready!(room.poll());
    write.write(vec![b'x'; 64 << 10]).unwrap();
    let mut room = task::spawn(write.room());
    assert_pending!(room.poll());
    let Ok(response) = response.await;
    assert!(room.is_woken());
    assert_ready!(room.poll());
    let mut body = response.into_body();
    assert_eq!(
        body.frame()
            .await
            .unwrap()
            .unwrap()
            .into_data()
            .unwrap()
            .len(),
        64 << 10
    );

    write.write(vec![b'y'; 8 << 20]).unwrap();
    let error = write.write("z").unwrap_err();
    assert!(error.to_string().contains("wait for room"), "{error}");
    let mut room = task::spawn(write.room());
    assert_pending!(room.poll());
    drop(body);
    assert!(room.is_woken());
    assert_ready!(room.poll());
    assert_eq!(
        write.write("late").unwrap_err().kind(),
        io::ErrorKind::BrokenPipe
    );
}

#[tokio::test]
async fn what_another_thread_writes_wakes_the_response() {
    for on_pool in [false, true] {
        let pool = BlockingPool::new(1);
        let service = WsgiService::new(|_: Environ, start_response: StartResponse| {
            let deferred = start_response.defer(streams::pending());
            let write = start_response.start("200 OK", PLAIN)?;
            std::thread::spawn(move || write.write("from a thread"));
            Ok::<_, BoxError>(deferred)
        });
        let mut body = if on_pool {
            let service = BlockingLayer::new(&pool).layer(service);
            service
                .oneshot(request(Method::GET))
                .await
                .unwrap()
                .into_body()
        } else {
            Body::new(
                service
                    .oneshot(request(Method::GET))
                    .await
                    .unwrap()
                    .into_body(),
            )
        };
        let frame = tokio::time::timeout(LONG, body.frame()).await.unwrap();
        assert_eq!(
            frame.unwrap().unwrap().into_data().unwrap(),
            "from a thread"
        );
    }
}

#[tokio::test]
async fn a_file_is_sent_at_the_end_of_the_stream() {
    for method in [Method::GET, Method::HEAD] {
        let seen = ask(method.clone(), |_, start_response: StartResponse| {
            let sends = start_response.clone();
            let pieces = streams::once(async move {
                tokio::task::yield_now().await;
                sends.start("200 OK", PLAIN)?;
                let mut file = tempfile::tempfile()?;
                io::Write::write_all(&mut file, b"a file")?;
                io::Seek::rewind(&mut file)?;
                sends.send_file(file)?;
                piece("not sent")
            });
            Ok::<_, BoxError>(start_response.defer(pieces))
        })
        .await;
        let expected = if method == Method::GET { "a file" } else { "" };
        assert_eq!((seen.status, seen.body), (200, Ok(expected.into())));
        assert_eq!(
            seen.headers.get("content-length").is_some(),
            method == Method::HEAD
        );
    }
}

#[tokio::test]
async fn a_connection_changes_its_protocol_only_when_the_host_allows_it() {
    let fields = [("connection", "Upgrade"), ("upgrade", "websocket")];
    let head = "101 Switching Protocols";
    let allowed = get(move |_, start_response: StartResponse| {
        start_response.allow_switching_protocols();
        start_response.start(head, fields)?;
        Ok::<_, BoxError>([piece("no body")])
    })
    .await;
    assert_eq!((allowed.status, allowed.body), (101, Ok(String::new())));
    assert_eq!(allowed.headers["upgrade"], "websocket");
    let refused = get(move |_, start_response: StartResponse| {
        assert!(matches!(
            start_response.start(head, fields),
            Err(StartError::Status(_))
        ));
        Ok::<_, BoxError>([piece("")])
    })
    .await;
    assert_eq!(refused.status, 500);
    let other = get(move |_, start_response: StartResponse| {
        start_response.allow_switching_protocols();
        assert!(start_response.start("200 OK", fields).is_err());
        Ok::<_, BoxError>([piece("")])
    })
    .await;
    assert_eq!(other.status, 500);
}

#[tokio::test]
async fn under_axum_serve_pieces_arrive_as_they_come_and_a_client_that_leaves_cancels() {
    use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};

    let pool = BlockingPool::new(1);
    let (sender, receiver) = channel::channel(8);
    let receiver = Mutex::new(Some(receiver));
    let application = move |_: Environ, start_response: StartResponse| {
        start_response.start("200 OK", PLAIN)?;
        let pieces = receiver.lock().unwrap().take().unwrap();
        Ok::<_, BoxError>(start_response.defer(channel_stream(pieces)))
    };
    let app = axum::Router::new().route_service(
        "/",
        BlockingLayer::new(&pool).layer(WsgiService::new(application)),
    );
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let server = tokio::spawn(async move { axum::serve(listener, app).await });
    let mut client = tokio::net::TcpStream::connect(address).await.unwrap();
    client
        .write_all(b"GET / HTTP/1.1\r\nhost: x\r\n\r\n")
        .await
        .unwrap();
    let mut seen = String::new();
    for text in ["one", "two", "three"] {
        sender.send(piece(text)).await.unwrap();
        while !seen.contains(text) {
            let mut buffer = [0; 1024];
            let read = tokio::time::timeout(LONG, client.read(&mut buffer)).await;
            let count = read.unwrap().unwrap();
            assert!(count > 0, "the connection was closed after {seen:?}");
            seen.push_str(str::from_utf8(&buffer[..count]).unwrap());
        }
    }
    drop(client);
    tokio::time::timeout(LONG, sender.closed()).await.unwrap();
    server.abort();
}

#[test]
fn a_panic_of_the_stream_does_not_unwind() {
    let mut service = WsgiService::new(|_: Environ, start_response: StartResponse| {
        start_response.start("200 OK", PLAIN)?;
        let panics = streams::once(poll_fn(|_| -> Poll<Piece> {
            panic!("as the test wants it")
        }));
        Ok::<_, BoxError>(start_response.defer(panics))
    });
    let mut response = task::spawn(tower::Service::call(&mut service, request(Method::GET)));
    let poll = std::panic::catch_unwind(AssertUnwindSafe(|| response.poll()));
    assert_eq!(assert_ready!(poll.unwrap()).unwrap().status(), 500);
}
