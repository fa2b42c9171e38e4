//! The pseudo-fields of requests (RFC 9113 sections 8.3 to 8.5).

use tests::http2::{Fields, Frame, Outcome, RawHttp2, code, flag};

use super::messages::{INVALID, MALFORMED};
use crate::{
    Server,
    case::{
        Case,
        Expect::{Closed, Reset, Served},
        case, check,
    },
};

const SERVED: &[crate::case::Expect] = &[Served(200)];
const BAD: &[crate::case::Expect] = &[Served(400), Reset(code::PROTOCOL_ERROR)];

/// A request without a body, of these fields.
fn send(client: &mut RawHttp2, fields: &[(&str, &str)]) -> std::io::Result<u32> {
    let block = fields.iter().fold(Fields::new(), |block, (name, value)| {
        block.field(name, value)
    });
    client.frame(&Frame::headers(1, flag::WHOLE, block))?;
    Ok(1)
}

const METHOD: (&str, &str) = (":method", "GET");
const SCHEME: (&str, &str) = (":scheme", "http");
const AUTHORITY: (&str, &str) = (":authority", "test");
const PATH: (&str, &str) = (":path", "/");

const PSEUDO: &[Case] = &[
    case(
        "8.3.1 in another order",
        |client| send(client, &[PATH, AUTHORITY, SCHEME, METHOD]),
        SERVED,
    ),
    case(
        "8.3.1 no method",
        |client| send(client, &[SCHEME, AUTHORITY, PATH]),
        MALFORMED,
    ),
    case(
        "8.3.1 no scheme",
        |client| send(client, &[METHOD, AUTHORITY, PATH]),
        MALFORMED,
    ),
    case(
        "8.3.1 no path",
        |client| send(client, &[METHOD, SCHEME, AUTHORITY]),
        MALFORMED,
    ),
    case(
        "8.3.1 no field at all",
        |client| send(client, &[]),
        MALFORMED,
    ),
    case(
        "8.3.1 an empty path",
        |client| send(client, &[METHOD, SCHEME, AUTHORITY, (":path", "")]),
        MALFORMED,
    ),
    case(
        "8.3.1 an empty method",
        |client| send(client, &[(":method", ""), SCHEME, AUTHORITY, PATH]),
        INVALID,
    ),
    case(
        "8.3 a method twice",
        |client| send(client, &[METHOD, METHOD, SCHEME, AUTHORITY, PATH]),
        MALFORMED,
    ),
    case(
        "8.3 a scheme twice",
        |client| send(client, &[METHOD, SCHEME, SCHEME, AUTHORITY, PATH]),
        MALFORMED,
    ),
    case(
        "8.3 an authority twice",
        |client| send(client, &[METHOD, SCHEME, AUTHORITY, AUTHORITY, PATH]),
        MALFORMED,
    ),
    case(
        "8.3 a path twice",
        |client| send(client, &[METHOD, SCHEME, AUTHORITY, PATH, PATH]),
        MALFORMED,
    ),
    case(
        "8.3 a pseudo-field after another field",
        |client| send(client, &[METHOD, SCHEME, AUTHORITY, ("x", "1"), PATH]),
        MALFORMED,
    ),
    case(
        "8.3 an unknown pseudo-field",
        |client| send(client, &[METHOD, SCHEME, AUTHORITY, PATH, (":test", "1")]),
        INVALID,
    ),
    case(
        "8.3 a pseudo-field of responses",
        |client| {
            send(
                client,
                &[METHOD, SCHEME, AUTHORITY, PATH, (":status", "200")],
            )
        },
        MALFORMED,
    ),
    case(
        "8.3 a pseudo-field in upper case",
        |client| send(client, &[(":METHOD", "GET"), SCHEME, AUTHORITY, PATH]),
        INVALID,
    ),
    case(
        "8441-4 a protocol without CONNECT",
        |client| {
            send(
                client,
                &[METHOD, SCHEME, AUTHORITY, PATH, (":protocol", "websocket")],
            )
        },
        MALFORMED,
    ),
];

const TARGETS: &[Case] = &[
    case(
        "8.3.1 host in place of the authority",
        |client| send(client, &[METHOD, SCHEME, PATH, ("host", "test")]),
        SERVED,
    ),
    case(
        "8.3.1 the same host",
        |client| send(client, &[METHOD, SCHEME, AUTHORITY, PATH, ("host", "test")]),
        SERVED,
    ),
    case(
        "8.3.1 another host",
        |client| {
            send(
                client,
                &[METHOD, SCHEME, AUTHORITY, PATH, ("host", "other")],
            )
        },
        BAD,
    ),
    case(
        "8.3.1 neither",
        |client| send(client, &[METHOD, SCHEME, PATH]),
        BAD,
    ),
    case(
        "8.3.1 two hosts",
        |client| {
            send(
                client,
                &[
                    METHOD,
                    SCHEME,
                    AUTHORITY,
                    PATH,
                    ("host", "test"),
                    ("host", "test"),
                ],
            )
        },
        BAD,
    ),
    case(
        "8.3.1 an authority with a user",
        |client| send(client, &[METHOD, SCHEME, (":authority", "me@test"), PATH]),
        BAD,
    ),
    case(
        "8.3.1 an authority that is none",
        |client| send(client, &[METHOD, SCHEME, (":authority", "a b"), PATH]),
        BAD,
    ),
    case(
        "8.3.1 an authority with a path",
        |client| send(client, &[METHOD, SCHEME, (":authority", "test/x"), PATH]),
        BAD,
    ),
    case(
        "8.3.1 an authority with a port",
        |client| {
            send(
                client,
                &[METHOD, SCHEME, (":authority", "[::1]:8000"), PATH],
            )
        },
        SERVED,
    ),
    case(
        "8.3.1 an empty authority",
        |client| send(client, &[METHOD, SCHEME, (":authority", ""), PATH]),
        BAD,
    ),
    case(
        "8.3.1 a path that does not begin with a slash",
        |client| send(client, &[METHOD, SCHEME, AUTHORITY, (":path", "x")]),
        BAD,
    ),
    case(
        "8.3.1 a path that is a URI",
        |client| {
            send(
                client,
                &[METHOD, SCHEME, AUTHORITY, (":path", "http://other/")],
            )
        },
        BAD,
    ),
    case(
        "8.3.1 a path with a space",
        |client| send(client, &[METHOD, SCHEME, AUTHORITY, (":path", "/a b")]),
        BAD,
    ),
    case(
        "8.3.1 a star with another method than OPTIONS",
        |client| send(client, &[METHOD, SCHEME, AUTHORITY, (":path", "*")]),
        BAD,
    ),
    case(
        "8.3.1 a scheme that is none",
        |client| send(client, &[METHOD, (":scheme", "1://"), AUTHORITY, PATH]),
        BAD,
    ),
    case(
        "8.5 CONNECT is for proxies",
        |client| send(client, &[(":method", "CONNECT"), (":authority", "test:80")]),
        &[
            Served(400),
            Served(405),
            Served(501),
            Reset(code::PROTOCOL_ERROR),
        ],
    ),
    case(
        "8.5 CONNECT has no path",
        |client| {
            send(
                client,
                &[
                    (":method", "CONNECT"),
                    SCHEME,
                    (":authority", "test:80"),
                    PATH,
                ],
            )
        },
        &[
            Served(400),
            Served(405),
            Served(501),
            Reset(code::PROTOCOL_ERROR),
        ],
    ),
    case(
        "8.5 CONNECT has an authority",
        |client| send(client, &[(":method", "CONNECT")]),
        &[
            Served(400),
            Served(405),
            Served(501),
            Reset(code::PROTOCOL_ERROR),
        ],
    ),
    case(
        "8.5 CONNECT has no length",
        |client| {
            let fields = Fields::new()
                .field(":method", "CONNECT")
                .field(":authority", "test:80")
                .field("content-length", "3");
            client.frame(&Frame::headers(1, flag::END_HEADERS, fields))?;
            Ok(1)
        },
        &[
            Served(400),
            Served(405),
            Served(501),
            Reset(code::PROTOCOL_ERROR),
            // hyper ends the connection without GOAWAY.
            Closed,
        ],
    ),
];

#[test]
fn pseudo_fields_are_checked() {
    check(PSEUDO);
}

#[test]
fn targets_are_checked() {
    check(TARGETS);
}

#[test]
fn a_request_is_the_one_that_was_sent() {
    let server = Server::start();
    let mut client = RawHttp2::connect(server.address, &[]);
    let fields = Fields::request("REPORT", "/request?a=%20b&c=//d")
        .field("x-name", "one")
        .field("x-name", "two")
        .field("te", "trailers");
    client
        .frame(&Frame::headers(1, flag::WHOLE, fields))
        .unwrap();
    let Outcome::Served(200, body) = client.outcome(1) else {
        panic!("it is not served");
    };
    let body = String::from_utf8(body).unwrap();
    let mut lines = body.lines();
    let line = lines.next().unwrap();
    assert!(
        line.starts_with("REPORT ") && line.ends_with("/request?a=%20b&c=//d HTTP/2.0"),
        "{line}"
    );
    let fields: Vec<_> = lines.filter(|line| line.starts_with("x-")).collect();
    assert_eq!(fields, ["x-name: one", "x-name: two"]);
}
