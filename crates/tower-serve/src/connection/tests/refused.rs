//! What hyper alone lets through, and what it refuses by itself: one test a row, so that a new version of
//! hyper that behaves otherwise is noticed.

use super::*;

/// The response to `request`, which must be the last on its connection unless it is a success, and must
/// not have reached the service then.
async fn status(request: &str) -> u16 {
    let count = Count::default();
    let server = Server::new();
    let mut client = server.connect(counted(&count));
    client.send(request).await;
    let response = client.response().await;
    if response.status == 200 {
        assert_eq!(count.get(), 1, "{request:?}");
    } else {
        assert_eq!(count.get(), 0, "{request:?} reached the service");
        assert!(
            response.closes(),
            "{request:?} does not close: {}",
            response.head
        );
        client.ended().await;
    }
    response.status
}

async fn all(expected: u16, requests: &[&str]) {
    for request in requests {
        assert_eq!(status(request).await, expected, "{request:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_a_page_with_a_date() {
    let server = Server::new();
    let mut client = server.connect(echo());
    client.send("GET / HTTP/1.1\r\n\r\n").await;
    let response = client.response().await;
    assert_eq!(response.field("content-type"), "text/plain; charset=utf-8");
    assert!(!response.field("date").is_empty());
    assert_eq!(
        response.text(),
        "400 Bad Request\nThe Host field is missing.\n"
    );
    client.ended().await;
}

#[tokio::test(start_paused = true)]
async fn content_length_syntax() {
    for value in [
        "+5",
        "-5",
        "0x5",
        "5 5",
        "5_0",
        "",
        "\u{a0}5",
        "\u{665}",
        "5, 6",
        "18446744073709551616",
    ] {
        let request = format!("POST / HTTP/1.1\r\nhost: a\r\ncontent-length: {value}\r\n\r\n12345");
        assert_eq!(status(&request).await, 400, "{value:?}");
    }
    all(
        400,
        &["POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ncontent-length: 6\r\n\r\n12345"],
    )
    .await;
    all(
        200,
        &["POST / HTTP/1.1\r\nhost: a\r\ncontent-length: 5\r\ncontent-length: 5\r\n\r\n12345"],
    )
    .await;
}

/// The length is gone before it can be seen, so the request is served; but nothing after it is.
#[tokio::test(start_paused = true)]
async fn content_length_with_transfer_encoding_is_the_last_request() {
    for fields in [
        "content-length: 5\r\ntransfer-encoding: chunked",
        "transfer-encoding: chunked\r\ncontent-length: 5",
    ] {
        let count = Count::default();
        let server = Server::new();
        let mut client = server.connect(counted(&count));
        client
            .send(format!(
                "POST / HTTP/1.1\r\nhost: a\r\n{fields}\r\n\r\n0\r\n\r\n\
                 GET /smuggled HTTP/1.1\r\nhost: a\r\n\r\n"
            ))
            .await;
        let response = client.response().await;
        assert_eq!((response.status, response.text()), (200, "POST / a "));
        assert!(response.closes());
        client.ended().await;
        assert_eq!(count.get(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn transfer_encoding_that_does_not_end_in_chunked() {
    all(
        400,
        &[
            "POST / HTTP/1.0\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip\r\n\r\n",
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked, gzip\r\n\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\x0b\r\n\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: \u{a0}chunked\r\n\r\n0\r\n\r\n",
        ],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn transfer_codings_besides_chunked() {
    all(
        501,
        &[
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip, chunked\r\n\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: identity, chunked\r\n\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked, chunked\r\n\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: gzip\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
            "POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
        ],
    )
    .await;
    all(
        200,
        &["POST / HTTP/1.1\r\nhost: a\r\ntransfer-encoding:  Chunked \r\n\r\n0\r\n\r\n"],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn host() {
    all(
        400,
        &[
            "GET / HTTP/1.1\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: a\r\nhost: a\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: a\r\nHost: b\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: a, b\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: a b\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: http://a\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: a/b\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: a?b\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: a#b\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: user@a\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: a:b\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: a:80:80\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: a:99999\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: :80\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: [::1\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: ::1\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: [nonsense]\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: a%zz\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: caf\u{e9}\r\n\r\n",
            "GET / HTTP/1.0\r\nhost: a\r\nhost: b\r\n\r\n",
            "GET / HTTP/1.0\r\nhost: a b\r\n\r\n",
        ],
    )
    .await;
    all(
        200,
        &[
            "GET / HTTP/1.0\r\n\r\n",
            "GET / HTTP/1.1\r\nhost:\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: a:8000\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: [::1]:8000\r\n\r\n",
        ],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_absolute_target_replaces_the_host() {
    let server = Server::new();
    let mut client = server.connect(echo());
    client
        .send("GET http://b.test:8000/c?d HTTP/1.1\r\nhost: a\r\n\r\n")
        .await;
    let response = client.response().await;
    assert_eq!(response.text(), "GET http://b.test:8000/c?d b.test:8000 ");
}

#[tokio::test(start_paused = true)]
async fn target_form() {
    all(
        400,
        &[
            "GET hello HTTP/1.1\r\nhost: a\r\n\r\n",
            "GET probe.test:80 HTTP/1.1\r\nhost: a\r\n\r\n",
            "GET * HTTP/1.1\r\nhost: a\r\n\r\n",
            "GET ?a HTTP/1.1\r\nhost: a\r\n\r\n",
            "GET ftp://a/ HTTP/1.1\r\nhost: a\r\n\r\n",
            "GET http:/// HTTP/1.1\r\nhost: a\r\n\r\n",
            "GET http://user@a/ HTTP/1.1\r\nhost: a\r\n\r\n",
            "GET http://user:word@a/ HTTP/1.1\r\nhost: a\r\n\r\n",
            "GET http://a:99999/ HTTP/1.1\r\nhost: a\r\n\r\n",
            // An absolute target does not make up for the field (RFC 9112 section 3.2).
            "GET http://a/ HTTP/1.1\r\n\r\n",
        ],
    )
    .await;
    all(
        200,
        &[
            "OPTIONS * HTTP/1.1\r\nhost: a\r\n\r\n",
            "GET /a?b=%20 HTTP/1.1\r\nhost: a\r\n\r\n",
            "GET //a//b HTTP/1.1\r\nhost: a\r\n\r\n",
            "GET https://a HTTP/1.1\r\nhost: a\r\n\r\n",
        ],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn connect_opens_no_tunnel() {
    all(
        501,
        &[
            "CONNECT a:80 HTTP/1.1\r\nhost: a:80\r\n\r\n",
            "CONNECT / HTTP/1.1\r\nhost: a\r\n\r\n",
        ],
    )
    .await;
}

/// `http::Uri` has cut it off before it can be seen there.
#[tokio::test(start_paused = true)]
async fn a_fragment() {
    let get = "GET / HTTP/1.1\r\nhost: a\r\n\r\n";
    for target in [
        "/a#b",
        "/#",
        "/a?b#c",
        "/a#b?c",
        "http://a/b#c",
        "http://a#b",
    ] {
        let request = format!("GET {target} HTTP/1.1\r\nhost: a\r\n\r\n");
        // In one piece, in any two, and behind another request.
        for cut in 0..request.len() {
            let server = Server::new();
            let mut client = server.connect(echo());
            client.send(&request[..cut]).await;
            tokio::time::sleep(Duration::from_millis(1)).await;
            client.send(&request[cut..]).await;
            let response = client.response().await;
            assert_eq!(
                (response.status, response.closes()),
                (400, true),
                "{target} {cut}"
            );
            assert!(response.text().contains("fragment"), "{}", response.text());
        }
        let server = Server::new();
        let mut client = server.connect(echo());
        client.send([get, &request].concat()).await;
        assert_eq!(client.response().await.status, 200);
        assert_eq!(client.response().await.status, 400, "{target}");
    }
    // Elsewhere the character means nothing.
    let server = Server::new();
    let mut client = server.connect(echo());
    for _ in 0..2 {
        client
            .send("POST /a HTTP/1.1\r\nhost: a\r\nx: #\r\ncontent-length: 7\r\n\r\nPOST /#")
            .await;
        assert_eq!(client.response().await.status, 200);
    }
}

/// Those that `http::Uri` lets through in the path or in the query, and those that it does not.
#[tokio::test(start_paused = true)]
async fn characters_that_are_percent_encoded() {
    for character in ["\"", "<", ">", "`"] {
        for target in [
            format!("/a{character}b"),
            format!("/a?b={character}"),
            format!("http://a/{character}"),
            format!("http://a/?{character}"),
        ] {
            let server = Server::new();
            let mut client = server.connect(echo());
            client
                .send(format!("GET {target} HTTP/1.1\r\nhost: a\r\n\r\n"))
                .await;
            let response = client.response().await;
            assert_eq!(
                (response.status, response.closes()),
                (400, true),
                "{target}"
            );
            let named = format!("The target has the character {character}; it is");
            assert!(response.text().contains(&named), "{}", response.text());
            client.ended().await;
        }
    }
    all(
        200,
        &[
            "GET /{a}|[b]^~\\?{c}|[d]^~\\ HTTP/1.1\r\nhost: a\r\n\r\n",
            "GET /%22%3C?%3E%60 HTTP/1.1\r\nhost: a\r\n\r\n",
        ],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn content_types() {
    let post =
        |types: &str| format!("POST / HTTP/1.1\r\nhost: a\r\n{types}content-length: 0\r\n\r\n");
    let different = "content-type: text/plain\r\ncontent-type: application/json\r\n";
    let equal = "content-type: text/plain\r\ncontent-type: text/plain\r\n";
    assert_eq!(status(&post(different)).await, 400);
    assert_eq!(status(&post(equal)).await, 200);
}

/// Also those that hyper refuses by itself, without a body.
#[tokio::test(start_paused = true)]
async fn every_refusal_has_a_page() {
    let long = "x".repeat(70_000);
    for (request, begin) in [
        ("nonsense\r\n\r\n".to_owned(), "400 Bad Request\n"),
        (
            "GET / HTTP/1.1\r\nhost a\r\n\r\n".into(),
            "400 Bad Request\n",
        ),
        (
            "GET / HTTP/1.1\r\nhost: a\r\ncontent-length: x\r\n\r\n".into(),
            "400 Bad Request\n",
        ),
        (
            format!("GET /{long} HTTP/1.1\r\nhost: a\r\n\r\n"),
            "414 URI Too Long\n",
        ),
        (
            format!("GET / HTTP/1.1\r\nhost: a\r\nx: {long}\r\n\r\n"),
            "431 Request Header Fields Too Large\n",
        ),
    ] {
        for before in ["", "GET / HTTP/1.1\r\nhost: a\r\n\r\n"] {
            let server = Server::with(|http| {
                http.max_header_size = if begin.starts_with("414") {
                    128 << 10
                } else {
                    64 << 10
                };
            });
            let mut client = server.connect_with(1 << 20, echo());
            client.send([before, &request].concat()).await;
            if !before.is_empty() {
                assert_eq!(client.response().await.status, 200);
            }
            let response = client.response().await;
            assert!(response.text().starts_with(begin), "{}", response.text());
            assert_eq!(response.field("content-type"), "text/plain; charset=utf-8");
            assert_eq!(response.head.matches("HTTP/1").count(), 1);
            client.ended().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn octets_in_the_target() {
    for octet in ["\u{80}", "\u{0}", "\u{7f}", "\u{1}"] {
        let request = format!("GET /{octet} HTTP/1.1\r\nhost: a\r\n\r\n");
        assert_eq!(status(&request).await, 400, "{octet:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn header_syntax() {
    all(
        400,
        &[
            "GET / HTTP/1.1\r\nhost: a\r\nx: a\u{0}b\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: a\r\nx: a\u{7f}b\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: a\r\nx: a\rb\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: a\r\nx\u{1}y: a\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: a\r\nno colon\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: a\r\nx : a\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: a\r\nx: a\r\n b\r\n\r\n",
            "GET / HTTP/1.1\r\n host: a\r\n\r\n",
            " GET / HTTP/1.1\r\nhost: a\r\n\r\n",
            "G\u{1}T / HTTP/1.1\r\nhost: a\r\n\r\n",
        ],
    )
    .await;
    all(
        200,
        &[
            "GET / HTTP/1.1\r\nhost: a\r\nx: caf\u{e9}\r\n\r\n",
            "GET / HTTP/1.1\r\nhost: a\r\nx_y: a\r\n\r\n",
            "GET / HTTP/1.1\nhost: a\n\n",
            "\r\n\r\nGET / HTTP/1.1\r\nhost: a\r\n\r\n",
        ],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn request_line_and_version() {
    all(
        400,
        &[
            "GET  / HTTP/1.1\r\nhost: a\r\n\r\n",
            "GET /  HTTP/1.1\r\nhost: a\r\n\r\n",
            "GET /\r\n\r\n",
            "GET / HTTP/0.9\r\nhost: a\r\n\r\n",
            "GET / HTTP/1.2\r\nhost: a\r\n\r\n",
            "GET / HTTP/2.0\r\nhost: a\r\n\r\n",
            "GET / http/1.1\r\nhost: a\r\n\r\n",
            "GET / HTTP/1.10\r\nhost: a\r\n\r\n",
        ],
    )
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_long_target() {
    let request = |length: usize| {
        format!(
            "GET /{} HTTP/1.1\r\nhost: a\r\n\r\n",
            "a".repeat(length - 1)
        )
    };
    assert_eq!(status(&request(8 << 10)).await, 200);
    assert_eq!(status(&request((8 << 10) + 1)).await, 414);
    assert_eq!(status(&request(60 << 10)).await, 414);
}

#[tokio::test(start_paused = true)]
async fn a_large_head() {
    let field = format!("x: {}\r\n", "a".repeat(1021));
    let request =
        |fields: usize| format!("GET / HTTP/1.1\r\nhost: a\r\n{}\r\n", field.repeat(fields));
    assert_eq!(status(&request(63)).await, 200);
    assert_eq!(status(&request(64)).await, 431);
    assert_eq!(status(&request(90)).await, 431);
    // Endless empty lines are no head, but no less bounded.
    assert_eq!(status(&"\r\n".repeat(33 << 10)).await, 431);
}

#[tokio::test(start_paused = true)]
async fn many_fields() {
    let request = |fields: usize| {
        format!(
            "GET / HTTP/1.1\r\nhost: a\r\n{}\r\n",
            "x: a\r\n".repeat(fields - 1)
        )
    };
    assert_eq!(status(&request(100)).await, 200);
    assert_eq!(status(&request(101)).await, 431);
}

#[tokio::test(start_paused = true)]
async fn the_limits_are_settings() {
    for (limit, expected) in [(4, 431), (5, 200), (200, 200)] {
        let server = Server::with(|http| http.max_headers = limit);
        let mut client = server.connect(echo());
        client
            .send("GET / HTTP/1.1\r\nhost: a\r\na: a\r\nb: b\r\nc: c\r\nd: d\r\n\r\n")
            .await;
        assert_eq!(client.response().await.status, expected, "{limit} fields");
    }
    for (limit, expected) in [(50, 431), (100, 200), (300_000, 200)] {
        let server = Server::with(|http| http.max_header_size = limit);
        let mut client = server.connect(echo());
        client
            .send("GET / HTTP/1.1\r\nhost: a\r\nx: aaaaaaaaaaaaaaaaaaaaaaaaaaaaaa\r\n\r\n")
            .await;
        assert_eq!(client.response().await.status, expected, "{limit} bytes");
    }
}

#[tokio::test(start_paused = true)]
async fn a_long_method() {
    let request = |length| format!("{} / HTTP/1.1\r\nhost: a\r\n\r\n", "A".repeat(length));
    assert_eq!(status(&request(32)).await, 200);
    assert_eq!(status(&request(33)).await, 501);
    assert_eq!(status(&request(9000)).await, 501);
}

#[tokio::test(start_paused = true)]
async fn expectations() {
    all(
        417,
        &[
            "GET / HTTP/1.1\r\nhost: a\r\nexpect: 200-ok\r\n\r\n",
            "POST / HTTP/1.1\r\nhost: a\r\nexpect: 100-continue, x\r\ncontent-length: 1\r\n\r\na",
            "POST / HTTP/1.1\r\nhost: a\r\nexpect: x\r\nexpect: 100-continue\r\ncontent-length: 1\r\n\r\na",
        ],
    )
    .await;
    all(
        200,
        &["GET / HTTP/1.1\r\nhost: a\r\nexpect: 100-Continue\r\n\r\n"],
    )
    .await;
}

/// A client that speaks HTTP/2 to a server that does not is not spoken to.
#[tokio::test(start_paused = true)]
async fn the_http_2_preface() {
    let count = Count::default();
    let server = Server::with(|http| http.versions = HttpVersions::Http1);
    let mut client = server.connect(counted(&count));
    client.send("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n").await;
    client.ended().await;
    assert_eq!(count.get(), 0);
}
