//! Messages and their fields (RFC 9113 sections 8.1 and 8.2).

use tests::http2::{Fields, Frame, Outcome, RawHttp2, code, flag, kind};

use crate::{
    Server,
    case::{
        Case,
        Expect::{GoAway, Reset, Served},
        case, check,
    },
};

/// A server may respond with 400 instead (section 8.1.1).
pub(super) const MALFORMED: &[crate::case::Expect] = &[Reset(code::PROTOCOL_ERROR), Served(400)];

const SERVED: &[crate::case::Expect] = &[Served(200)];

/// h2 takes a name or value that is no field for an error in the block, which is one of the connection. A server may.
pub(super) const INVALID: &[crate::case::Expect] = &[
    Reset(code::PROTOCOL_ERROR),
    Served(400),
    GoAway(code::PROTOCOL_ERROR),
];

/// A POST request of 3 bytes in two DATA frames, with this `Content-Length`.
fn post(client: &mut RawHttp2, length: &str) -> std::io::Result<u32> {
    let fields = Fields::post("/upload").field("content-length", length);
    client.frames(&[
        Frame::headers(1, flag::END_HEADERS, fields),
        Frame::data(1, 0, "ab"),
        Frame::data(1, flag::END_STREAM, "c"),
    ])?;
    Ok(1)
}

/// A GET request with one more field.
fn get(
    client: &mut RawHttp2,
    name: impl AsRef<[u8]>,
    value: impl AsRef<[u8]>,
) -> std::io::Result<u32> {
    let fields = Fields::get("/").field(name, value);
    client.frame(&Frame::headers(1, flag::WHOLE, fields))?;
    Ok(1)
}

const BODIES: &[Case] = &[
    case(
        "8.1.1 a length that is right",
        |client| post(client, "3"),
        SERVED,
    ),
    case(
        "8.1.1 a length that is too large",
        |client| post(client, "4"),
        MALFORMED,
    ),
    case(
        "8.1.1 a length that is too small",
        |client| post(client, "2"),
        MALFORMED,
    ),
    case(
        "8.1.1 a length of 0 before a body",
        |client| post(client, "0"),
        MALFORMED,
    ),
    case(
        "8.6 a length that is no number",
        |client| post(client, "three"),
        MALFORMED,
    ),
    case(
        "8.6 a length with a sign",
        |client| post(client, "+3"),
        MALFORMED,
    ),
    case(
        "8.6 a negative length",
        |client| post(client, "-3"),
        MALFORMED,
    ),
    case("8.6 an empty length", |client| post(client, ""), MALFORMED),
    case(
        "8.6 a length beyond 64 bits",
        |client| post(client, "18446744073709551619"),
        MALFORMED,
    ),
    case(
        "8.1.1 two lengths that differ",
        |client| {
            let fields = Fields::post("/upload")
                .field("content-length", "3")
                .field("content-length", "4");
            client.frames(&[
                Frame::headers(1, flag::END_HEADERS, fields),
                Frame::data(1, flag::END_STREAM, "abc"),
            ])?;
            Ok(1)
        },
        MALFORMED,
    ),
    case(
        "8.1.1 a length, and no body",
        |client| {
            let fields = Fields::post("/upload").field("content-length", "1");
            client.frame(&Frame::headers(1, flag::WHOLE, fields))?;
            Ok(1)
        },
        MALFORMED,
    ),
    case(
        "8.1 trailers end a request",
        |client| {
            client.frames(&[
                Frame::headers(1, flag::END_HEADERS, Fields::post("/upload")),
                Frame::data(1, 0, "abc"),
                Frame::headers(1, flag::WHOLE, Fields::new().field("x-sum", "1")),
            ])?;
            Ok(1)
        },
        SERVED,
    ),
    case(
        "8.1 trailers without data",
        |client| {
            client.frames(&[
                Frame::headers(1, flag::END_HEADERS, Fields::post("/upload")),
                Frame::headers(1, flag::WHOLE, Fields::new().field("x-sum", "1")),
            ])?;
            Ok(1)
        },
        SERVED,
    ),
    case(
        "8.1 trailers that do not end the stream",
        |client| {
            client.frames(&[
                Frame::headers(1, flag::END_HEADERS, Fields::post("/upload")),
                Frame::data(1, 0, "abc"),
                Frame::headers(1, flag::END_HEADERS, Fields::new().field("x-sum", "1")),
            ])?;
            Ok(1)
        },
        MALFORMED,
    ),
    case(
        "8.1, 8.3 trailers with a pseudo-field",
        |client| {
            client.frames(&[
                Frame::headers(1, flag::END_HEADERS, Fields::post("/upload")),
                Frame::data(1, 0, "abc"),
                Frame::headers(1, flag::WHOLE, Fields::new().field(":method", "GET")),
            ])?;
            Ok(1)
        },
        // h2 drops the pseudo-field.
        &[Reset(code::PROTOCOL_ERROR), Served(400), Served(200)],
    ),
    case(
        "8.1 trailers before the whole length",
        |client| {
            let fields = Fields::post("/upload").field("content-length", "4");
            client.frames(&[
                Frame::headers(1, flag::END_HEADERS, fields),
                Frame::data(1, 0, "abc"),
                Frame::headers(1, flag::WHOLE, Fields::new().field("x-sum", "1")),
            ])?;
            Ok(1)
        },
        MALFORMED,
    ),
    case(
        "8.2.1 trailers with upper case",
        |client| {
            client.frames(&[
                Frame::headers(1, flag::END_HEADERS, Fields::post("/upload")),
                Frame::headers(1, flag::WHOLE, Fields::new().field("X-Sum", "1")),
            ])?;
            Ok(1)
        },
        INVALID,
    ),
];

const FIELDS: &[Case] = &[
    case(
        "8.2.1 a name in upper case",
        |client| get(client, "X-Name", "1"),
        INVALID,
    ),
    case(
        "8.2.1 a name with a space",
        |client| get(client, "x name", "1"),
        INVALID,
    ),
    case(
        "8.2.1 a name with a NUL",
        |client| get(client, "x\0", "1"),
        INVALID,
    ),
    case(
        "8.2.1 a name with a line end",
        |client| get(client, "x\r\ny", "1"),
        INVALID,
    ),
    case(
        "8.2.1 a name with DEL",
        |client| get(client, "x\x7f", "1"),
        INVALID,
    ),
    case(
        "8.2.1 a name beyond ASCII",
        |client| get(client, b"x\xe4", "1"),
        INVALID,
    ),
    case(
        "8.2.1 a name with a colon",
        |client| get(client, "x:y", "1"),
        INVALID,
    ),
    case(
        "8.2.1 a name of nothing",
        |client| get(client, "", "1"),
        INVALID,
    ),
    case(
        "8.2.1 a value with a NUL",
        |client| get(client, "x", "1\x002"),
        INVALID,
    ),
    case(
        "8.2.1 a value with CR",
        |client| get(client, "x", "1\r2"),
        INVALID,
    ),
    case(
        "8.2.1 a value with LF",
        |client| get(client, "x", "1\n2"),
        INVALID,
    ),
    case(
        "8.2.1 a value with a whole field",
        |client| get(client, "x", "1\r\nhost: y"),
        INVALID,
    ),
    case(
        "8.2.1 a value beyond ASCII is one",
        |client| get(client, "x", b"\xe4\xff"),
        SERVED,
    ),
    case(
        "8.2.1 a value may be empty",
        |client| get(client, "x", ""),
        SERVED,
    ),
    case(
        "8.2.1 a value that begins with a space",
        |client| get(client, "x", " 1"),
        MALFORMED,
    ),
    case(
        "8.2.1 a value that ends with a tab",
        |client| get(client, "x", "1\t"),
        MALFORMED,
    ),
    case(
        "8.2.2 connection",
        |client| get(client, "connection", "close"),
        MALFORMED,
    ),
    case(
        "8.2.2 keep-alive",
        |client| get(client, "keep-alive", "300"),
        MALFORMED,
    ),
    case(
        "8.2.2 proxy-connection",
        |client| get(client, "proxy-connection", "close"),
        MALFORMED,
    ),
    case(
        "8.2.2 transfer-encoding",
        |client| get(client, "transfer-encoding", "chunked"),
        MALFORMED,
    ),
    case(
        "8.2.2 upgrade",
        |client| get(client, "upgrade", "websocket"),
        MALFORMED,
    ),
    case(
        "8.2.2 te: trailers",
        |client| get(client, "te", "trailers"),
        SERVED,
    ),
    case(
        "8.2.2 another te",
        |client| get(client, "te", "gzip"),
        MALFORMED,
    ),
    case(
        "8.2.2 another te beside it",
        |client| get(client, "te", "trailers, deflate"),
        MALFORMED,
    ),
    case(
        "8.2.2 connection-specific fields in trailers",
        |client| {
            client.frames(&[
                Frame::headers(1, flag::END_HEADERS, Fields::post("/upload")),
                Frame::headers(1, flag::WHOLE, Fields::new().field("connection", "close")),
            ])?;
            Ok(1)
        },
        MALFORMED,
    ),
];

#[test]
fn bodies_have_the_length_that_they_claim() {
    check(BODIES);
}

#[test]
fn fields_are_checked() {
    check(FIELDS);
}

#[test]
fn cookies_are_joined() {
    // Section 8.2.3: for what is behind HTTP/2, in one field and in their order.
    let server = Server::start();
    let mut client = RawHttp2::connect(server.address, &[]);
    let fields = Fields::get("/request")
        .field("cookie", "a=1")
        .field("x-other", "2")
        .field("cookie", "b=2; c=3")
        .field("cookie", "d=4");
    client
        .frame(&Frame::headers(1, flag::WHOLE, fields))
        .unwrap();
    let Outcome::Served(200, body) = client.outcome(1) else {
        panic!("it is not served");
    };
    let body = String::from_utf8(body).unwrap();
    let cookies: Vec<_> = body
        .lines()
        .filter(|line| line.starts_with("cookie"))
        .collect();
    assert_eq!(cookies, ["cookie: a=1; b=2; c=3; d=4"], "{body}");
}

#[test]
fn a_response_to_head_has_no_body() {
    let server = Server::start();
    let mut client = RawHttp2::connect(server.address, &[]);
    let fields = Fields::request("HEAD", "/bytes/1000");
    client
        .frame(&Frame::headers(1, flag::WHOLE, fields))
        .unwrap();
    assert_eq!(client.outcome(1), Outcome::Served(200, vec![]));
    assert!(client.seen.iter().all(|frame| frame.kind != kind::DATA));
}
