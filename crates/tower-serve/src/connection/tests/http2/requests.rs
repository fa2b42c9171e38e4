//! Requests: how a connection begins, what the service sees, what is refused, what is logged.

use super::*;

#[tokio::test(start_paused = true)]
async fn requests_with_prior_knowledge_beside_each_other() {
    let server = Server::new();
    let client = Streams::connect(&server, echo()).await;
    let post = Request::post("http://a/p?q").body(()).unwrap();
    let (first, second, third) = tokio::join!(
        client.get("/1"),
        client.send(post, Some(b"body")),
        client.get("/3"),
    );
    assert_eq!(first.unwrap().text(), "GET http://a/1 a ");
    assert_eq!(second.unwrap().text(), "POST http://a/p?q a body");
    let third = third.unwrap();
    assert_eq!(third.text(), "GET http://a/3 a ");
    assert!(third.headers.contains_key("date"));
    assert_eq!(third.headers["content-length"], "17");
    assert_eq!((server.load.total(), server.load.requests()), (3, 0));
    client.left().await;
    assert_eq!(server.load.connections(), OTHERS);
    assert_eq!(server.load.busy(), 0);
}

#[tokio::test(start_paused = true)]
async fn a_preface_in_any_pieces() {
    // SETTINGS, and the headers of GET http://a/ from the static table (RFC 7541 appendix A).
    let frames = b"\x00\x00\x00\x04\x00\x00\x00\x00\x00\x00\x00\x06\x01\x05\x00\x00\x00\x01\x82\x86\x84\x41\x01a";
    let whole = [PREFACE.as_bytes(), frames].concat();
    for first in 1..PREFACE.len() + 2 {
        let server = Server::new();
        let count = Count::default();
        let mut client = server.connect(counted(&count));
        client.send(&whole[..first]).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        client.send(&whole[first..]).await;
        while find(&client.read, b"GET http://a/ a ").is_none() {
            assert_ne!(client.fill().await, 0, "{first}: {:?}", client.read);
        }
        assert_eq!(count.get(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn a_preface_is_the_beginning_of_a_connection_or_refused() {
    let count = Count::default();
    let server = Server::new();
    let mut client = server.connect(counted(&count));
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    client.response().await;
    client.send(PREFACE).await;
    client.ended().await;
    for start in [
        "PRI * HTTP/2.0\r\n\r\nXX",
        "PRI * HTTP/2.1\r\n\r\n",
        "PRI /",
    ] {
        let mut client = server.connect(counted(&count));
        client.send(start).await;
        client.rest().await;
        bounded(client.served).await.unwrap();
    }
    assert_eq!(count.get(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_server_of_one_version_refuses_the_other() {
    let server = Server::with(|http| http.versions = HttpVersions::Http2);
    let mut client = server.connect(echo());
    client.send("GET / HTTP/1.1\r\nhost: a\r\n\r\n").await;
    let response = client.response().await;
    assert_eq!(response.status, 505);
    assert!(
        response.text().contains("HTTP/2 only"),
        "{}",
        response.text()
    );
    assert!(response.closes());
    client.ended().await;
    let client = Streams::connect(&server, echo()).await;
    assert_eq!(client.get("/").await.unwrap().status, 200);
    client.left().await;
}

#[tokio::test(start_paused = true)]
async fn refusals_have_the_words_of_http_1_and_leave_the_connection_open() {
    let server = Server::with(|http| http.max_headers = 20);
    let count = Count::default();
    let client = Streams::connect(&server, counted(&count)).await;
    let with = |name: &str, value: &str| Request::get("http://a/").header(name, value);
    let mut many = Request::get("http://a/");
    for number in 0..21 {
        many = many.header(format!("x-{number}"), "1");
    }
    for (request, status, text) in [
        (with("host", "b"), 400, "differs from the :authority"),
        (with("expect", "more"), 417, "only expectation supported"),
        (
            Request::get("http://a/a\"b"),
            400,
            "it is percent-encoded as %22",
        ),
        (
            Request::get("http://u@a/"),
            400,
            "host in the target is not valid",
        ),
        (
            Request::get(format!("http://a/{}", "x".repeat(9000))),
            414,
            "longer than 8 KiB",
        ),
        (
            Request::builder()
                .method("X".repeat(40).as_str())
                .uri("http://a/"),
            501,
            "method is not known",
        ),
        (many, 431, "too many fields"),
        (Request::connect("a:80"), 501, "does not support CONNECT"),
    ] {
        let request = request.body(()).unwrap();
        let shown = format!("{request:?}");
        let response = client.send(request, None).await.unwrap();
        assert_eq!(response.status, status, "{shown}");
        assert!(
            response.text().contains(text),
            "{shown} {}",
            response.text()
        );
        assert!(!response.headers.contains_key("connection"), "{shown}");
    }
    assert_eq!(count.get(), 0);
    // h2 refuses this itself.
    let large = with("x-large", &"x".repeat(80 << 10)).body(()).unwrap();
    let large = client.send(large, None).await.unwrap();
    assert_eq!(large.status, 431);
    assert_eq!(client.get("/").await.unwrap().status, 200);
    assert_eq!(count.get(), 1);
    client.left().await;
}

#[tokio::test(start_paused = true)]
async fn the_service_sees_one_cookie_one_host_and_the_connection() {
    let service = service_fn(async |request: Request<RequestBody>| {
        assert!(request.extensions().get::<ConnectInfo>().is_some());
        assert_eq!(request.version(), Version::HTTP_2);
        let all = |name: &str| {
            let values = request.headers().get_all(name).into_iter();
            let values: Vec<_> = values.map(|value| value.to_str().unwrap()).collect();
            values.join("|")
        };
        Ok::<_, Infallible>(Response::new(format!("{} {}", all("host"), all("cookie"))))
    });
    let server = Server::new();
    let client = Streams::connect(&server, service).await;
    let request = Request::get("http://a:80/").header("cookie", "a=1");
    let request = request.header("cookie", "b=2").header("host", "A");
    let response = client.send(request.body(()).unwrap(), None).await;
    assert_eq!(response.unwrap().text(), "a:80 a=1; b=2");
    client.left().await;
}

#[tokio::test(start_paused = true)]
async fn each_stream_has_its_line_in_the_access_log() {
    let logged = Logged::new();
    let (go, held) = watch::channel(false);
    let client = Streams::connect(&logged.server, holding(&held)).await;
    client.get("/a?b").await.unwrap();
    let refused = Request::get("http://a/").header("host", "b").body(());
    client.send(refused.unwrap(), None).await.unwrap();
    {
        // This one leaves before there is a response.
        let mut requests = client.requests.clone().ready().await.unwrap();
        let request = Request::get("http://a/held").body(()).unwrap();
        let (response, _stream) = requests.send_request(request, true).unwrap();
        tokio::time::sleep(Duration::from_secs(1)).await;
        drop(response);
    }
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(logged.server.load.requests(), 0);
    client.left().await;
    drop((go, held));
    let lines = logged.lines();
    let facts: Vec<_> = lines.iter().map(super::super::access_log::facts).collect();
    assert_eq!(facts[0], (Some("/a?b"), 200, 4, false));
    assert_eq!(
        (facts[1].0, facts[1].1, facts[1].3),
        (Some("/"), 400, false)
    );
    assert_eq!(facts[2], (Some("/held"), 499, 0, true));
    for line in &lines {
        assert_eq!(line["version"], "HTTP/2.0", "{line}");
        assert_eq!(line["host"], "a", "{line}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_is_cut_off_or_not_read_ends_its_stream_only() {
    let server = Server::new();
    let client = Streams::connect(&server, echo()).await;
    let post = || Request::post("http://a/").body(()).unwrap();
    let mut requests = client.requests.clone().ready().await.unwrap();
    let (response, mut stream) = requests.send_request(post(), false).unwrap();
    stream
        .send_data(Bytes::from_static(b"half"), false)
        .unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(server.load.requests(), 1);
    stream.send_reset(Reason::CANCEL);
    bounded(response).await.unwrap_err();
    assert_eq!(client.get("/").await.unwrap().status, 200);
    assert_eq!(server.load.requests(), 0);

    // More than the window has room for.
    let client = Streams::connect(&server, service_fn(ignore)).await;
    let large = vec![0; 3 << 20];
    for _ in 0..5 {
        let response = client.send(post(), Some(&large)).await.unwrap();
        assert_eq!(response.text(), "ignored");
    }
    client.left().await;
}

#[tokio::test(start_paused = true)]
async fn other_protocols_of_an_extended_connect_are_refused() {
    let server = Server::new();
    let client = Streams::connect(&server, echo()).await;
    client.get("/").await.unwrap();
    let request = Request::connect("http://a/").extension(h2::ext::Protocol::from("tunnel"));
    let response = client.send(request.body(()).unwrap(), None).await.unwrap();
    assert_eq!(response.status, 501);
    client.left().await;
}
