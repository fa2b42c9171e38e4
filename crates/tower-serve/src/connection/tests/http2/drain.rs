//! Connections that are to end: GOAWAY, and no request is lost.

use super::*;

#[tokio::test(start_paused = true)]
async fn streams_finish_and_the_connection_ends() {
    let server = Server::new();
    let (go, held) = watch::channel(false);
    let client = Streams::connect(&server, holding(&held)).await;
    let running = client.get("/held");
    let drain = async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        server.drain.send_replace(AT_ONCE);
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert_eq!(server.load.requests(), 1);
        go.send_replace(true);
    };
    let (response, ()) = tokio::join!(running, drain);
    assert_eq!(response.unwrap().text(), "done");
    assert!(client.get("/").await.is_err(), "no stream may follow");
    client.ended().await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_ends_at_once() {
    let server = Server::new();
    for wait in [0, 30] {
        let client = Streams::connect(&server, echo()).await;
        client.get("/").await.unwrap();
        tokio::time::sleep(Duration::from_secs(wait)).await;
        server.drain.send_replace(AT_ONCE);
        let start = Instant::now();
        client.ended().await;
        assert!(start.elapsed() < Duration::from_millis(100));
        server.drain.send_replace(None);
    }
}

/// The client has sent it before it could see GOAWAY.
#[tokio::test(start_paused = true)]
async fn a_request_that_crosses_goaway_is_served() {
    let server = Server::new();
    let count = Count::default();
    let mut client = server.connect(counted(&count));
    client.send(PREFACE).await;
    client.send(b"\x00\x00\x00\x04\x00\x00\x00\x00\x00").await;
    let get = |id: u8| {
        let mut frame = b"\x00\x00\x06\x01\x05\x00\x00\x00\x01\x82\x86\x84\x41\x01a".to_vec();
        frame[8] = id;
        frame
    };
    client.send(get(1)).await;
    while count.get() < 1 {
        client.fill().await;
    }
    server.drain.send_replace(AT_ONCE);
    let goaway = b"\x07\x00\x00\x00\x00\x00\x7f\xff\xff\xff\x00\x00\x00\x00";
    while find(&client.read, goaway).is_none() {
        assert_ne!(client.fill().await, 0);
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    client.send(get(3)).await;
    client.rest().await;
    assert_eq!(count.get(), 2);
    // It does not acknowledge GOAWAY, and has the time for that.
    bounded(client.served).await.unwrap();
    assert_eq!(server.load.connections(), OTHERS);
}

#[tokio::test(start_paused = true)]
async fn a_new_connection_may_send_a_first_request() {
    let server = Server::new();
    server.drain.send_replace(AT_ONCE);
    let client = Streams::connect(&server, echo()).await;
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(client.get("/").await.unwrap().status, 200);
    client.ended().await;
    let start = Instant::now();
    Streams::connect(&server, echo()).await.ended().await;
    assert_seconds(start, 1);
}

#[tokio::test(start_paused = true)]
async fn a_surplus_connection_ends_after_its_response() {
    let server = Server::new();
    let client = Streams::connect(&server, echo()).await;
    let other = Streams::connect(&server, echo()).await;
    client.get("/").await.unwrap();
    // The requests of others.
    (0..3).for_each(|_| server.load.request_began());
    server.load.shed(1);
    assert_eq!(client.get("/").await.unwrap().status, 200);
    client.ended().await;
    assert_eq!(other.get("/").await.unwrap().status, 200);
    assert!(!server.load.has_surplus());
    assert_eq!(other.get("/").await.unwrap().status, 200);
    other.left().await;
}

/// It would only take its overload to another worker.
#[tokio::test(start_paused = true)]
async fn a_connection_with_most_of_the_requests_stays_and_a_smaller_one_goes() {
    let server = Server::new();
    let (go, held) = watch::channel(false);
    let large = Streams::connect(&server, holding(&held)).await;
    let small = Streams::connect(&server, holding(&held)).await;
    let mut running = Vec::new();
    for _ in 0..100 {
        let mut requests = large.requests.clone().ready().await.unwrap();
        let request = Request::get("http://a/held").body(()).unwrap();
        let (response, _) = requests.send_request(request, true).unwrap();
        running.push(tokio::spawn(async move {
            bounded(response).await.unwrap().status()
        }));
    }
    large.get("/").await.unwrap();
    // `small` has yet to send its first request.
    assert_eq!((server.load.requests(), server.load.busy()), (100, 101));
    server.load.shed(10);
    assert_eq!(large.get("/").await.unwrap().status, 200);
    assert_eq!(small.get("/").await.unwrap().status, 200);
    small.ended().await;
    assert_eq!(large.get("/").await.unwrap().status, 200);
    go.send_replace(true);
    for response in running {
        assert_eq!(response.await.unwrap(), 200);
    }
    large.left().await;
    assert_eq!(server.load.busy(), 0);
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_makes_room_and_a_busy_one_does_not() {
    let server = Server::new();
    let (go, held) = watch::channel(false);
    let busy = Streams::connect(&server, holding(&held)).await;
    let idle = Streams::connect(&server, holding(&held)).await;
    let running = tokio::spawn({
        let requests = busy.requests.clone();
        async move {
            let request = Request::get("http://a/held").body(()).unwrap();
            let mut requests = requests.ready().await.unwrap();
            let (response, _) = requests.send_request(request, true).unwrap();
            receive(bounded(response).await.unwrap()).await
        }
    });
    idle.get("/").await.unwrap();
    tokio::time::sleep(Duration::from_secs(3)).await;
    // One of the two that the server has beside them.
    assert!(server.load.make_room(1 + OTHERS) >= 1);
    idle.ended().await;
    assert_eq!(server.load.connections(), 1 + OTHERS);
    go.send_replace(true);
    assert_eq!(running.await.unwrap().text(), "done");
    busy.left().await;
}

#[tokio::test(start_paused = true)]
async fn streams_beyond_the_limit_are_refused_and_those_within_it_count_as_requests() {
    let server = Server::with(|http| http.max_concurrent_streams = 3);
    let (go, held) = watch::channel(false);
    let mut client = server.connect(holding(&held));
    client.send(PREFACE).await;
    client.send(b"\x00\x00\x00\x04\x00\x00\x00\x00\x00").await;
    for id in [1, 3, 5, 7_u8] {
        let mut frame =
            b"\x00\x00\x0c\x01\x05\x00\x00\x00\x01\x82\x86\x41\x01a\x44\x05/held".to_vec();
        frame[8] = id;
        client.send(frame).await;
    }
    // RST_STREAM of stream 7 with REFUSED_STREAM.
    let refused = b"\x00\x00\x04\x03\x00\x00\x00\x00\x07\x00\x00\x00\x07";
    while find(&client.read, refused).is_none() {
        assert_ne!(client.fill().await, 0, "{:?}", client.read);
    }
    assert_eq!((server.load.requests(), server.load.busy()), (3, 3));
    assert_eq!(server.load.connections(), 1 + OTHERS);
    go.send_replace(true);
    drop(client.io);
    bounded(client.served).await.unwrap();
    assert_eq!(server.load.busy(), 0);
}
