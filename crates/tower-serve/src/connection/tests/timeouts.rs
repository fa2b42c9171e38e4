//! Clients that take their time. The clock is stopped, so that every duration is exact to the millisecond
//! that the timer has.

use std::ops::Range;

use http_body_util::StreamBody;

use super::*;

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";

/// Asserts that `since` was `expected` seconds ago, with the coarseness of timers.
#[track_caller]
pub(super) fn assert_seconds(since: Instant, expected: u64) {
    let range: Range<Duration> =
        Duration::from_millis(expected * 1000)..Duration::from_millis(expected * 1000 + 100);
    let elapsed = since.elapsed();
    assert!(
        range.contains(&elapsed),
        "{elapsed:?} instead of {expected} s"
    );
}

#[tokio::test(start_paused = true)]
async fn a_client_that_sends_nothing_is_left_in_silence() {
    let server = Server::new();
    let start = Instant::now();
    server.connect(echo()).ended().await;
    assert_seconds(start, 10);
}

#[tokio::test(start_paused = true)]
async fn a_time_out_beyond_all_time_is_only_long() {
    let server = Server::with(|http| {
        for time in [
            &mut http.header_timeout,
            &mut http.keep_alive_timeout,
            &mut http.body_timeout,
            &mut http.write_timeout,
            &mut http.request_timeout,
        ] {
            *time = Duration::MAX;
        }
    });
    let mut client = server.connect_with(64, echo());
    client
        .send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\n")
        .await;
    tokio::time::sleep(Duration::from_secs(500)).await;
    client.send("12345").await;
    tokio::time::sleep(Duration::from_secs(500)).await;
    assert_eq!(client.response().await.text(), "POST / a 12345");
}

#[tokio::test(start_paused = true)]
async fn empty_lines_are_nothing() {
    let server = Server::new();
    let start = Instant::now();
    let mut client = server.connect(echo());
    client.send("\r\n\r\n").await;
    client.ended().await;
    assert_seconds(start, 10);
}

#[tokio::test(start_paused = true)]
async fn half_a_head_gets_408() {
    let server = Server::new();
    let count = Count::default();
    let start = Instant::now();
    let mut client = server.connect(counted(&count));
    tokio::time::sleep(Duration::from_secs(4)).await;
    client.send("GET / HTTP/1.1\r\nhost: a\r\n").await;
    let response = client.response().await;
    assert_eq!(response.status, 408);
    assert_eq!(
        response.text(),
        "408 Request Timeout\nThe request head did not arrive in time.\n"
    );
    assert!(response.closes());
    assert!(!response.field("date").is_empty());
    // The time runs from the beginning of the connection.
    assert_seconds(start, 10);
    client.ended().await;
    assert_eq!(count.get(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_trickling_head_has_no_more_time() {
    let server = Server::new();
    let mut client = server.connect(echo());
    client.send(GET).await;
    client.response().await;
    tokio::time::sleep(Duration::from_secs(20)).await;
    let start = Instant::now();
    let (mut read, mut write) = tokio::io::split(client.io);
    let trickle = tokio::spawn(async move {
        for byte in GET.bytes().cycle() {
            tokio::time::sleep(Duration::from_secs(1)).await;
            if byte == b'\n' || write.write_all(&[byte]).await.is_err() {
                break;
            }
        }
    });
    let mut response = String::new();
    bounded(read.read_to_string(&mut response))
        .await
        .expect("text");
    assert!(response.starts_with("HTTP/1.1 408 "), "{response}");
    // The first byte is sent, and the time begins, after one second.
    assert_seconds(start, 1 + 10);
    // What still comes is thrown away for a while.
    bounded(client.served).await.expect("no panic");
    assert_seconds(start, 1 + 10 + 2);
    bounded(trickle).await.expect("no panic");
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed_in_silence() {
    let server = Server::new();
    let mut client = server.connect(echo());
    for _ in 0..3 {
        // Longer than a head may take.
        tokio::time::sleep(Duration::from_secs(9)).await;
        client.send(GET).await;
        client.response().await;
        tokio::time::sleep(Duration::from_secs(50)).await;
        client.send(GET).await;
        client.response().await;
    }
    let start = Instant::now();
    // Some clients end a body in an empty line too many (RFC 9112 section 2.2).
    client.send("\r\n").await;
    client.ended().await;
    assert_seconds(start, 65);
}

#[tokio::test(start_paused = true)]
async fn a_short_keep_alive_time_out_holds() {
    let server = Server::with(|http| http.keep_alive_timeout = Duration::from_secs(3));
    let mut client = server.connect(echo());
    client.send(GET).await;
    client.response().await;
    let start = Instant::now();
    client.ended().await;
    assert_seconds(start, 3);
}

/// hyper holds the beginning of the head, so that no more is read.
#[tokio::test(start_paused = true)]
async fn half_a_pipelined_head_gets_408() {
    let server = Server::new();
    let mut client = server.connect(echo());
    let start = Instant::now();
    client.send([GET, "GET / HT"].concat()).await;
    assert_eq!(client.response().await.status, 200);
    assert_eq!(client.response().await.status, 408);
    assert_seconds(start, 10);
    client.ended().await;
}

#[tokio::test(start_paused = true)]
async fn a_late_rest_of_a_head_is_served() {
    let server = Server::new();
    let mut client = server.connect(echo());
    for pause in [9, 9] {
        client.send(&GET[..10]).await;
        tokio::time::sleep(Duration::from_secs(pause)).await;
        client.send(&GET[10..]).await;
        assert_eq!(client.response().await.status, 200);
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
}

#[tokio::test(start_paused = true)]
async fn the_time_of_the_service_is_not_the_clients() {
    let server = Server::new();
    let mut client = server.connect(service_fn(async |_: Request<RequestBody>| {
        tokio::time::sleep(Duration::from_secs(299)).await;
        Ok::<_, Infallible>(Response::new(String::new()))
    }));
    client.send(GET).await;
    assert_eq!(client.response().await.status, 200);
    let start = Instant::now();
    client.ended().await;
    assert_seconds(start, 65);
}

#[tokio::test(start_paused = true)]
async fn a_stalled_body_gets_408() {
    let server = Server::new();
    for request in [
        "POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n12345",
        "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5\r\n12345",
        "POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 10\r\n\r\n",
    ] {
        let mut client = server.connect(echo());
        let start = Instant::now();
        client.send(request).await;
        let response = client.response().await;
        assert_eq!(response.status, 408, "{request:?}");
        assert!(response.closes());
        assert_seconds(start, 30);
        client.ended().await;
    }
}

/// Bytes that bring the body no further are no progress.
#[tokio::test(start_paused = true)]
async fn endless_chunk_sizes_and_extensions_stall_a_body() {
    for filler in ["0", "5;a"] {
        let server = Server::new();
        let mut client = server.connect(echo());
        client
            .send("POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n")
            .await;
        client.send(filler).await;
        let start = Instant::now();
        let (mut read, mut write) = tokio::io::split(client.io);
        let trickle = tokio::spawn(async move {
            let byte = filler
                .as_bytes()
                .last()
                .copied()
                .into_iter()
                .collect::<Vec<_>>();
            while write.write_all(&byte).await.is_ok() {
                tokio::time::sleep(Duration::from_secs(1)).await;
            }
        });
        let mut response = String::new();
        bounded(read.read_to_string(&mut response))
            .await
            .expect("text");
        assert!(response.starts_with("HTTP/1.1 408 "), "{response}");
        assert_seconds(start, 30);
        bounded(trickle).await.expect("no panic");
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_body_that_goes_on_is_received() {
    let server = Server::new();
    let mut client = server.connect(echo());
    client
        .send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 10\r\n\r\n")
        .await;
    for _ in 0..10 {
        tokio::time::sleep(Duration::from_secs(29)).await;
        client.send("x").await;
    }
    assert_eq!(client.response().await.text(), "POST / a xxxxxxxxxx");
}

/// A service that does not read waits for nothing, even with the whole body in hyper's hands.
#[tokio::test(start_paused = true)]
async fn a_body_that_is_read_late_is_whole() {
    let server = Server::new();
    let mut client = server.connect(service_fn(async |request: Request<RequestBody>| {
        tokio::time::sleep(Duration::from_secs(200)).await;
        let body = request.into_body().collect().await?.to_bytes();
        Ok::<_, BoxError>(Response::new(Full::new(body)))
    }));
    client
        .send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\n12345")
        .await;
    assert_eq!(client.response().await.text(), "12345");
    client.send(GET).await;
    assert_eq!(client.response().await.text(), "");
}

/// The response is sent, and the body is still being read: the connection is not idle before its end.
#[tokio::test(start_paused = true)]
async fn a_body_that_outlives_its_response_is_received() {
    let (done, mut finished) = watch::channel(0);
    let server = Server::new();
    let mut client = server.connect(service_fn(move |request: Request<RequestBody>| {
        let done = done.clone();
        async move {
            tokio::spawn(async move {
                let body = request.into_body().collect().await.expect("whole");
                done.send_replace(body.to_bytes().len());
            });
            Ok::<_, Infallible>(Response::new("accepted".to_owned()))
        }
    }));
    client
        .send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 20\r\n\r\n")
        .await;
    assert_eq!(client.response().await.text(), "accepted");
    for _ in 0..20 {
        tokio::time::sleep(Duration::from_secs(25)).await;
        client.send("x").await;
    }
    let start = Instant::now();
    assert_eq!(
        *bounded(finished.wait_for(|length| *length != 0))
            .await
            .expect("sent"),
        20
    );
    client.ended().await;
    assert_seconds(start, 65);
}

/// One that is not polled ends as well: it is dropped, and the connection with it.
#[tokio::test(start_paused = true)]
async fn the_end_of_a_body_is_noticed_without_the_client() {
    let server = Server::new();
    let mut client = server.connect(service_fn(async |request: Request<RequestBody>| {
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(100)).await;
            drop(request);
        });
        Ok::<_, Infallible>(Response::new("accepted".to_owned()))
    }));
    client
        .send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\n12345")
        .await;
    client.response().await;
    let start = Instant::now();
    client.ended().await;
    assert_seconds(start, 100 + 65);
}

fn large()
-> impl Service<Request<RequestBody>, Response = Response<Full<Bytes>>, Error = Infallible, Future: Send>
+ Clone
+ Send
+ 'static {
    service_fn(async |_: Request<RequestBody>| {
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(vec![b'x'; 1 << 20]))))
    })
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_is_cut_off() {
    let server = Server::new();
    let mut client = server.connect_with(4096, large());
    client.send(GET).await;
    let start = Instant::now();
    bounded(&mut client.served).await.expect("no panic");
    assert_seconds(start, 30);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_takes_little_is_served() {
    let server = Server::new();
    let mut client = server.connect_with(32 << 10, large());
    client.send(GET).await;
    client.head().await.expect("a head");
    let mut length = std::mem::take(&mut client.read).len();
    let mut buffer = vec![0; 32 << 10];
    while length < 1 << 20 {
        tokio::time::sleep(Duration::from_secs(29)).await;
        let read = bounded(client.io.read(&mut buffer)).await.expect("bytes");
        assert_ne!(read, 0, "cut off after {length} bytes");
        length += read;
    }
    // It is idle since the last bytes were on their way, which was before the last pause.
    let start = Instant::now();
    client.ended().await;
    assert_seconds(start, 65 - 29);
}

#[tokio::test(start_paused = true)]
async fn a_response_that_pauses_is_not_the_clients_fault() {
    let server = Server::new();
    let mut client = server.connect(service_fn(async |_: Request<RequestBody>| {
        let frames = futures_util::stream::unfold(0, async |number| {
            tokio::time::sleep(Duration::from_secs(100)).await;
            let frame = Ok::<_, Infallible>(http_body::Frame::data(Bytes::from_static(b"x")));
            (number < 5).then_some((frame, number + 1))
        });
        Ok::<_, Infallible>(Response::new(StreamBody::new(Box::pin(frames))))
    }));
    client.send(GET).await;
    assert_eq!(client.response().await.text(), "xxxxx");
}

/// A body may be read by a thread that has no runtime.
#[tokio::test]
async fn a_body_can_be_awaited_on_any_thread() {
    let server = Server::with(|http| http.body_timeout = Duration::from_millis(50));
    let (send, receive) = std::sync::mpsc::sync_channel::<RequestBody>(1);
    let (sent, mut received) = tokio::sync::mpsc::channel(1);
    let thread = std::thread::spawn(move || {
        let body = receive.recv().expect("a body");
        let error = futures_util::FutureExt::now_or_never(body.collect());
        // Pending: a timer was made, without a panic.
        sent.blocking_send(error.is_none()).expect("the test waits");
    });
    let mut client = server.connect(service_fn(move |request: Request<RequestBody>| {
        send.send(request.into_body()).expect("the thread waits");
        async { Ok::<_, Infallible>(Response::new(String::new())) }
    }));
    client
        .send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\n\r\n")
        .await;
    assert_eq!(bounded(received.recv()).await, Some(true));
    thread.join().expect("no panic");
}

/// The response is the server's own, and hyper has no part in it.
#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_of_a_408_is_cut_off() {
    let server = Server::new();
    let mut client = server.connect_with(16, echo());
    let start = Instant::now();
    client.send("GET / HT").await;
    bounded(&mut client.served).await.expect("no panic");
    assert_seconds(start, 10 + 30);
    assert!(client.rest().await.starts_with(b"HTTP/1.1 408 Req"));
    assert_eq!((server.load.total(), server.load.requests()), (1, 0));
}

#[tokio::test(start_paused = true)]
async fn a_408_in_small_pieces_is_whole() {
    let server = Server::new();
    let mut client = server.connect_with(16, echo());
    client.send("HEAD / HT").await;
    let response = client.head().await.expect("a head");
    assert_eq!((response.status, response.closes()), (408, true));
    assert_ne!(response.field("content-length"), "0");
    client.ended().await;
}
