//! Services that do not respond in time, with the clock stopped.

use std::{
    future::Ready,
    task::{Context, Poll},
};

use tokio::sync::oneshot;

use super::{timeouts::assert_seconds, *};

const GET: &str = "GET /report?of=may HTTP/1.1\r\nhost: a\r\n\r\n";

/// Sleeps for these seconds, each time after it has read the request's body.
fn sleeper(
    seconds: u64,
) -> impl Service<Request<RequestBody>, Response = Response<String>, Error = BoxError, Future: Send>
+ Clone
+ Send
+ 'static {
    service_fn(move |request: Request<RequestBody>| async move {
        request.into_body().collect().await?;
        tokio::time::sleep(Duration::from_secs(seconds)).await;
        Ok::<_, BoxError>(Response::new("done".to_owned()))
    })
}

#[tokio::test(start_paused = true)]
async fn a_service_that_does_not_respond_is_dropped_and_the_client_gets_504() {
    let server = Server::new();
    let (alive, dropped) = oneshot::channel::<()>();
    let alive = Arc::new(std::sync::Mutex::new(Some(alive)));
    let mut client = server.connect(service_fn(move |_: Request<RequestBody>| {
        let alive = alive.lock().unwrap().take();
        async move {
            std::future::pending::<()>().await;
            drop(alive);
            Ok::<_, Infallible>(Response::new(String::new()))
        }
    }));
    let start = Instant::now();
    client.send(GET).await;
    let response = client.response().await;
    assert_seconds(start, 300);
    assert_eq!(response.status, 504);
    assert_eq!(
        response.text(),
        "504 Gateway Timeout\nThe application did not respond in time.\n"
    );
    assert!(response.closes());
    assert!(dropped.await.is_err(), "the service keeps running");
    client.ended().await;
    assert_eq!(server.load.requests(), 0);
}

#[tokio::test(start_paused = true)]
async fn each_request_has_its_own_time() {
    let server = Server::with(|http| http.request_timeout = Duration::from_secs(3));
    let mut client = server.connect(sleeper(2));
    for _ in 0..5 {
        client.send(GET).await;
        assert_eq!(client.response().await.text(), "done");
        client.send([GET, GET].concat()).await;
        assert_eq!(client.response().await.text(), "done");
        assert_eq!(client.response().await.text(), "done");
        tokio::time::sleep(Duration::from_secs(8)).await;
    }
    let mut client = server.connect(sleeper(4));
    let start = Instant::now();
    client.send(GET).await;
    assert_eq!(client.response().await.status, 504);
    assert_seconds(start, 3);
}

#[tokio::test(start_paused = true)]
async fn the_time_of_an_upload_does_not_count() {
    let server = Server::new();
    for (seconds, status) in [(299, 200), (301, 504)] {
        let mut client = server.connect(sleeper(seconds));
        client
            .send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 20\r\n\r\n")
            .await;
        for _ in 0..20 {
            tokio::time::sleep(Duration::from_secs(29)).await;
            client.send("x").await;
        }
        let start = Instant::now();
        assert_eq!(client.response().await.status, status);
        assert_seconds(start, seconds.min(300));
    }
}

/// The client is at fault, however short the time of the service is.
#[tokio::test(start_paused = true)]
async fn a_stalled_upload_is_408_and_not_504() {
    let server = Server::with(|http| http.request_timeout = Duration::from_secs(1));
    let mut client = server.connect(sleeper(0));
    let start = Instant::now();
    client
        .send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 20\r\n\r\nx")
        .await;
    assert_eq!(client.response().await.status, 408);
    assert_seconds(start, 30);
}

/// The time counts from the head if the service does not read the body.
#[tokio::test(start_paused = true)]
async fn an_upload_that_is_not_read_gives_no_time() {
    let server = Server::new();
    let mut client = server.connect(service_fn(async |request: Request<RequestBody>| {
        std::future::pending::<()>().await;
        drop(request);
        Ok::<_, Infallible>(Response::new(String::new()))
    }));
    client
        .send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\nx")
        .await;
    let start = Instant::now();
    assert_eq!(client.response().await.status, 504);
    assert_seconds(start, 300);
}

#[derive(Clone)]
struct Unready;

impl Service<Request<RequestBody>> for Unready {
    type Response = Response<String>;
    type Error = Infallible;
    type Future = Ready<Result<Response<String>, Infallible>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Infallible>> {
        Poll::Pending
    }

    fn call(&mut self, _: Request<RequestBody>) -> Self::Future {
        unreachable!("it is not ready")
    }
}

/// One that is not even ready to take the request is late as well.
#[tokio::test(start_paused = true)]
async fn a_service_that_is_never_ready_gets_504_sent_for_it() {
    let server = Server::new();
    let mut client = server.connect(Unready);
    client.send(GET).await;
    assert_eq!(client.response().await.status, 504);
}

/// The deadline of a client that takes nothing of the response before comes first.
#[tokio::test(start_paused = true)]
async fn a_client_that_takes_nothing_is_cut_off_even_if_the_service_is_late() {
    for timeout in [5, 300] {
        let server = Server::with(|http| http.request_timeout = Duration::from_secs(timeout));
        let count = Count::default();
        let service = service_fn(move |_: Request<RequestBody>| {
            count.add();
            let first = count.get() == 1;
            async move {
                if !first {
                    std::future::pending::<()>().await;
                }
                let body = Bytes::from(vec![b'x'; 64 << 10]);
                Ok::<_, Infallible>(Response::new(Full::new(body)))
            }
        });
        let mut client = server.connect_with(4096, service);
        client.send([GET, GET].concat()).await;
        let start = Instant::now();
        bounded(&mut client.served).await.expect("no panic");
        assert_seconds(start, 30);
    }
}
