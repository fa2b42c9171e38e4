//! Clients and services that take their time.

use futures_util::stream;
use http_body::Frame;
use http_body_util::StreamBody;

use super::*;

#[tokio::test(start_paused = true)]
async fn a_connection_without_a_request_is_closed() {
    let server = Server::new();
    let start = Instant::now();
    let client = Streams::connect(&server, echo()).await;
    client.ended().await;
    // An idle client acknowledges the end at once.
    assert_seconds(start, 10);
    let start = Instant::now();
    let mut client = server.connect(echo());
    client.send(PREFACE).await;
    client.rest().await;
    bounded(client.served).await.unwrap();
    let elapsed = start.elapsed();
    assert!(
        elapsed > Duration::from_secs(12) && elapsed < Duration::from_secs(13),
        "{elapsed:?}"
    );
    let start = Instant::now();
    let mut client = server.connect(echo());
    client.send(&PREFACE[..20]).await;
    client.rest().await;
    bounded(client.served).await.unwrap();
    assert!(start.elapsed() < Duration::from_secs(15));
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_closed() {
    let server = Server::new();
    let client = Streams::connect(&server, echo()).await;
    for _ in 0..2 {
        client.get("/").await.unwrap();
        tokio::time::sleep(Duration::from_secs(60)).await;
    }
    client.get("/").await.unwrap();
    let start = Instant::now();
    client.ended().await;
    assert_seconds(start, 65);
}

#[tokio::test(start_paused = true)]
async fn a_client_that_does_not_acknowledge_a_ping_is_cut() {
    let server = Server::new();
    let (_go, held) = watch::channel(false);
    let mut client = server.connect(holding(&held));
    let start = Instant::now();
    client.send(PREFACE).await;
    client.send(b"\x00\x00\x00\x04\x00\x00\x00\x00\x00").await;
    client
        .send(b"\x00\x00\x0c\x01\x05\x00\x00\x00\x01\x82\x86\x41\x01a\x44\x05/held")
        .await;
    let rest = client.rest().await;
    assert!(
        find(&rest, b"\x00\x00\x08\x06\x00\x00\x00\x00\x00").is_some(),
        "a ping"
    );
    bounded(client.served).await.unwrap();
    assert_eq!(server.load.requests(), 0);
    let elapsed = start.elapsed();
    assert!(
        elapsed > Duration::from_secs(59) && elapsed < Duration::from_secs(70),
        "{elapsed:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_service_that_does_not_respond_gets_504_on_its_stream_alone() {
    let server = Server::new();
    let (_go, held) = watch::channel(false);
    let client = Streams::connect(&server, holding(&held)).await;
    let start = Instant::now();
    let late = client.get("/held");
    let others = async {
        for _ in 0..10 {
            tokio::time::sleep(Duration::from_secs(29)).await;
            assert_eq!(client.get("/").await.unwrap().status, 200);
        }
    };
    let (late, ()) = tokio::join!(late, others);
    assert_seconds(start, 300);
    let late = late.unwrap();
    assert_eq!(late.status, 504);
    assert!(late.text().contains("did not respond in time"));
    bounded(server.load.given_up()).await;
    assert_eq!(client.get("/").await.unwrap().status, 200);
    client.left().await;
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stalls_gets_408_on_its_stream_alone() {
    let server = Server::new();
    let client = Streams::connect(&server, echo()).await;
    let mut requests = client.requests.clone().ready().await.unwrap();
    let post = Request::post("http://a/").body(()).unwrap();
    let (response, mut stream) = requests.send_request(post, false).unwrap();
    stream
        .send_data(Bytes::from_static(b"half"), false)
        .unwrap();
    let start = Instant::now();
    let response = bounded(response).await.unwrap();
    assert_seconds(start, 30);
    let response = receive(response).await;
    assert_eq!(response.status, 408);
    assert!(response.text().contains("body did not arrive in time"));
    assert_eq!(client.get("/").await.unwrap().status, 200);
    drop((stream, requests));
    client.left().await;
}

/// Its body is dropped, with what it holds.
#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_of_a_response_loses_the_stream_and_not_the_connection() {
    let server = Server::new();
    for window in [0, 1] {
        let dropped = Arc::new(());
        let held = dropped.clone();
        let service = service_fn(move |request: Request<RequestBody>| {
            let held = held.clone();
            async move {
                let size = if request.uri().path() == "/large" {
                    100_000
                } else {
                    0
                };
                let frames = stream::unfold(held, move |held| async move {
                    let piece = Frame::data(Bytes::from(vec![0; size]));
                    (size > 0).then_some((Ok::<_, BoxError>(piece), held))
                });
                Ok::<_, BoxError>(Response::new(StreamBody::new(Box::pin(frames))))
            }
        });
        let mut settings = client::Builder::new();
        settings.initial_window_size(window);
        let client = Streams::over(server.connect(service), &settings).await;
        let mut requests = client.requests.clone().ready().await.unwrap();
        let request = Request::get("http://a/large").body(()).unwrap();
        let (response, _stream) = requests.send_request(request, true).unwrap();
        let start = Instant::now();
        let mut body = bounded(response).await.unwrap().into_body();
        let error = loop {
            match bounded(body.data()).await.expect("no end") {
                Ok(bytes) => assert_eq!(bytes.len(), 1),
                Err(error) => break error,
            }
        };
        assert_eq!(error.reason(), Some(Reason::CANCEL), "{window}");
        assert_seconds(start, 30);
        assert_eq!(server.load.requests(), 0);
        assert_eq!(Arc::strong_count(&dropped), 2, "the service has one");
        assert_eq!(client.get("/").await.unwrap().status, 200);
        drop((body, requests));
        client.left().await;
        assert_eq!(Arc::strong_count(&dropped), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_client_that_reads_nothing_from_its_socket_is_cut() {
    let server = Server::new();
    let service = service_fn(async |_: Request<RequestBody>| {
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(vec![0; 1 << 20]))))
    });
    let mut client = server.connect_with(4 << 10, service);
    client.send(PREFACE).await;
    client.send(b"\x00\x00\x00\x04\x00\x00\x00\x00\x00").await;
    client
        .send(b"\x00\x00\x06\x01\x05\x00\x00\x00\x01\x82\x86\x84\x41\x01a")
        .await;
    let start = Instant::now();
    bounded(client.served).await.unwrap();
    assert_seconds(start, 30);
    assert_eq!(
        (server.load.requests(), server.load.connections()),
        (0, OTHERS)
    );
}

#[tokio::test(start_paused = true)]
async fn a_slow_reader_gets_all() {
    let server = Server::new();
    let service = service_fn(async |_: Request<RequestBody>| {
        Ok::<_, Infallible>(Response::new(Full::new(Bytes::from(vec![0; 200 << 10]))))
    });
    let client = Streams::connect(&server, service).await;
    let mut requests = client.requests.clone().ready().await.unwrap();
    let request = Request::get("http://a/").body(()).unwrap();
    let (response, _stream) = requests.send_request(request, true).unwrap();
    let mut body = bounded(response).await.unwrap().into_body();
    let mut length = 0;
    while let Some(bytes) = bounded(body.data()).await {
        let bytes = bytes.unwrap();
        length += bytes.len();
        tokio::time::sleep(Duration::from_secs(9)).await;
        body.flow_control().release_capacity(bytes.len()).unwrap();
    }
    assert_eq!(length, 200 << 10);
    drop((body, requests));
    client.left().await;
}
