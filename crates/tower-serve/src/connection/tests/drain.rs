//! What a worker that stops does to its connections.

use super::*;

const GET: &str = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";

/// Responds when `wait` turns true.
fn waiting(
    wait: &watch::Receiver<bool>,
) -> impl Service<Request<RequestBody>, Response = Response<String>, Error = BoxError, Future: Send>
+ Clone
+ Send
+ 'static
+ use<> {
    let wait = wait.clone();
    service_fn(move |_: Request<RequestBody>| {
        let mut wait = wait.clone();
        async move {
            wait.wait_for(|go| *go).await?;
            Ok::<_, BoxError>(Response::new("done".to_owned()))
        }
    })
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_closes_at_once() {
    let server = Server::new();
    let mut client = server.connect(echo());
    client.send(GET).await;
    client.response().await;
    // Even after the time when it was looked at again.
    for wait in [0, 30] {
        let mut client = server.connect(echo());
        client.send(GET).await;
        client.response().await;
        tokio::time::sleep(Duration::from_secs(wait)).await;
        server.drain.send_replace(AT_ONCE);
        let start = Instant::now();
        client.ended().await;
        assert!(start.elapsed() < Duration::from_millis(100));
        server.drain.send_replace(None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_request_that_crosses_the_close_is_no_reset() {
    let server = Server::new();
    for request in [true, false] {
        let mut client = server.connect(echo());
        client.send(GET).await;
        client.response().await;
        server.drain.send_replace(AT_ONCE);
        if request {
            client.send(GET).await;
            assert!(client.response().await.closes());
        }
        assert!(client.rest().await.is_empty());
        // The client had not seen the end when it sent this.
        client.send(GET).await;
        client.ended().await;
        server.drain.send_replace(None);
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_may_have_one_more_request_when_there_is_time() {
    let server = Server::new();
    let mut fresh = server.connect(echo());
    for wait in [4, 6] {
        let mut client = server.connect(echo());
        client.send(GET).await;
        client.response().await;
        tokio::time::sleep(Duration::from_secs(1)).await;
        server.drain.send_replace(Some(Duration::from_secs(5)));
        let start = Instant::now();
        if wait < 5 {
            tokio::time::sleep(Duration::from_secs(wait)).await;
            for client in [&mut client, &mut fresh] {
                client.send(GET).await;
                let response = client.response().await;
                assert_eq!((response.status, response.closes()), (200, true));
            }
        }
        client.ended().await;
        assert!(start.elapsed() < Duration::from_millis(5100));
        if wait > 5 {
            assert!(start.elapsed() >= Duration::from_secs(5));
        }
        server.drain.send_replace(None);
    }
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_can_be_hurried() {
    let server = Server::new();
    let mut client = server.connect(echo());
    client.send(GET).await;
    client.response().await;
    server.drain.send_replace(Some(Duration::from_secs(50)));
    tokio::time::sleep(Duration::from_secs(5)).await;
    server.drain.send_replace(AT_ONCE);
    let start = Instant::now();
    client.ended().await;
    assert!(start.elapsed() < Duration::from_millis(100));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_already_on_its_way_is_served() {
    let server = Server::new();
    let mut client = server.connect(echo());
    client.send(GET).await;
    client.response().await;
    // Both before the connection's task gets to run.
    client.send(GET).await;
    server.drain.send_replace(AT_ONCE);
    let response = client.response().await;
    assert_eq!((response.status, response.closes()), (200, true));
    client.ended().await;
}

#[tokio::test(start_paused = true)]
async fn half_a_head_is_waited_for() {
    let server = Server::new();
    for first in ["", GET] {
        let mut client = server.connect(echo());
        client.send([first, &GET[..20]].concat()).await;
        if !first.is_empty() {
            client.response().await;
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        server.drain.send_replace(AT_ONCE);
        tokio::time::sleep(Duration::from_secs(5)).await;
        client.send(&GET[20..]).await;
        let response = client.response().await;
        assert_eq!((response.status, response.closes()), (200, true));
        client.ended().await;
        server.drain.send_replace(None);
    }
}

#[tokio::test(start_paused = true)]
async fn half_a_head_is_not_waited_for_any_longer_than_otherwise() {
    let server = Server::new();
    for first in ["", GET] {
        let mut client = server.connect(echo());
        let start = Instant::now();
        client.send([first, &GET[..20]].concat()).await;
        if !first.is_empty() {
            client.response().await;
        }
        server.drain.send_replace(AT_ONCE);
        assert_eq!(client.response().await.status, 408);
        assert!(start.elapsed() < Duration::from_millis(10_100));
        client.ended().await;
        server.drain.send_replace(None);
    }
}

#[tokio::test(start_paused = true)]
async fn a_running_request_is_finished_and_says_close() {
    let (go, wait) = watch::channel(false);
    let server = Server::new();
    let mut client = server.connect(waiting(&wait));
    client.send(GET).await;
    tokio::time::sleep(Duration::from_secs(1)).await;
    server.drain.send_replace(AT_ONCE);
    tokio::time::sleep(Duration::from_secs(100)).await;
    go.send_replace(true);
    let response = client.response().await;
    assert_eq!((response.text(), response.closes()), ("done", true));
    client.ended().await;
}

#[tokio::test(start_paused = true)]
async fn a_response_that_is_on_its_way_is_finished() {
    let server = Server::new();
    let mut client = server.connect_with(
        1024,
        service_fn(async |_: Request<RequestBody>| {
            Ok::<_, Infallible>(Response::new("x".repeat(100_000)))
        }),
    );
    client.send(GET).await;
    assert_eq!(client.head().await.expect("a head").status, 200);
    server.drain.send_replace(AT_ONCE);
    tokio::time::sleep(Duration::from_secs(1)).await;
    let response = ClientResponse {
        status: 200,
        head: "HTTP/1.1 200 OK\r\ncontent-length: 100000\r\n".to_owned(),
        body: Vec::new(),
    };
    let response = client.body(response).await.expect("whole");
    assert_eq!(response.body.len(), 100_000);
    // Its head did not say that it was the last, so one that comes at once is served.
    client.send(GET).await;
    assert!(client.response().await.closes());
    client.ended().await;
}

#[tokio::test(start_paused = true)]
async fn a_new_connection_has_one_request() {
    let server = Server::new();
    let mut before = server.connect(echo());
    tokio::time::sleep(Duration::from_secs(5)).await;
    server.drain.send_replace(AT_ONCE);
    let mut after = server.connect(echo());
    tokio::time::sleep(Duration::from_millis(900)).await;
    for client in [&mut before, &mut after] {
        client.send(GET.repeat(2)).await;
        let response = client.response().await;
        assert_eq!((response.status, response.closes()), (200, true));
    }
    before.ended().await;
    after.ended().await;

    // And not much time for it.
    let start = Instant::now();
    server.connect(echo()).ended().await;
    assert!(start.elapsed() < Duration::from_millis(1100));
}

#[tokio::test(start_paused = true)]
async fn a_client_that_goes_on_sending_does_not_hold_it_up() {
    let server = Server::new();
    let mut client = server.connect(service_fn(ignore));
    server.drain.send_replace(AT_ONCE);
    client
        .send("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 100000\r\n\r\n")
        .await;
    assert!(client.response().await.closes());
    let start = Instant::now();
    bounded(&mut client.served).await.expect("no panic");
    assert!(start.elapsed() < Duration::from_millis(600));
}
