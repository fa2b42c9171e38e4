//! Windows (RFC 9113 sections 5.2 and 6.9).

use tests::http2::{Fields, Frame, Outcome, RawHttp2, code, flag, kind, setting};

use crate::{
    Server,
    case::{
        Case,
        Expect::{GoAway, Reset, Served},
        NEVER, case, check,
    },
};

const MOST: u32 = (1 << 31) - 1;

const PROTOCOL: &[crate::case::Expect] = &[GoAway(code::PROTOCOL_ERROR)];

const CASES: &[Case] = &[
    case(
        "6.9 a window of a stream grows by more than 0",
        |client| {
            client.get(1, NEVER)?;
            client.frame(&Frame::window_update(1, 0))?;
            Ok(1)
        },
        &[Reset(code::PROTOCOL_ERROR), GoAway(code::PROTOCOL_ERROR)],
    ),
    case(
        "6.9 the window of the connection grows by more than 0",
        |client| {
            client.frame(&Frame::window_update(0, 0))?;
            Ok(1)
        },
        PROTOCOL,
    ),
    case(
        "6.9 WINDOW_UPDATE has 4 bytes",
        |client| {
            client.frame(&Frame::new(kind::WINDOW_UPDATE, 0, 0, [0, 0, 1]))?;
            Ok(1)
        },
        &[GoAway(code::FRAME_SIZE_ERROR), GoAway(code::PROTOCOL_ERROR)],
    ),
    case(
        "6.9 the reserved bit of an increment is ignored",
        |client| {
            client.frame(&Frame::window_update(0, 0x8000_0001))?;
            client.get(1, "/")?;
            Ok(1)
        },
        &[Served(200)],
    ),
    case(
        "6.9.1 the window of a stream does not exceed 2^31-1",
        |client| {
            client.get(1, NEVER)?;
            client.frame(&Frame::window_update(1, MOST))?;
            Ok(1)
        },
        &[Reset(code::FLOW_CONTROL_ERROR)],
    ),
    case(
        "6.9.1 the window of the connection does not exceed 2^31-1",
        |client| {
            client.frame(&Frame::window_update(0, MOST))?;
            Ok(1)
        },
        &[GoAway(code::FLOW_CONTROL_ERROR)],
    ),
    case(
        "6.9.1 it may be as large as that",
        |client| {
            client.frame(&Frame::window_update(0, MOST - 65_535))?;
            client.get(1, "/")?;
            Ok(1)
        },
        &[Served(200)],
    ),
    case(
        "6.9.2 a change of the settings may be too much for a stream's window",
        |client| {
            client.get(1, NEVER)?;
            client.frames(&[
                Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, 1)]),
                Frame::window_update(1, MOST - 1),
                Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, 2)]),
            ])?;
            Ok(1)
        },
        &[GoAway(code::FLOW_CONTROL_ERROR)],
    ),
];

#[test]
fn windows_are_checked() {
    check(CASES);
}

/// The lengths of the DATA frames of this stream that are here after a PING came back.
fn data(client: &mut RawHttp2, stream: u32) -> Vec<usize> {
    client.frame(&Frame::ping([0; 8])).unwrap();
    let _ = client.wait_for(|frame| frame.kind == kind::PING).unwrap();
    let is_data = |frame: &Frame| frame.kind == kind::DATA && frame.stream == stream;
    let (data, other) = std::mem::take(&mut client.seen)
        .into_iter()
        .partition(is_data);
    client.seen = other;
    let data: Vec<Frame> = data;
    data.iter().map(|frame| frame.payload.len()).collect()
}

/// Waits until these bytes have come, and no more of them come without a larger window.
fn takes(client: &mut RawHttp2, stream: u32, bytes: usize) {
    let mut taken = 0;
    while taken < bytes {
        let is_data = |frame: &Frame| frame.kind == kind::DATA && frame.stream == stream;
        taken += client.wait_for(is_data).unwrap().payload.len();
    }
    assert_eq!(taken, bytes);
    assert_eq!(data(client, stream), [], "beyond the window");
}

#[test]
fn the_server_keeps_within_the_window_of_a_stream() {
    let server = Server::start();
    let mut client = RawHttp2::connect(server.address, &[(setting::INITIAL_WINDOW_SIZE, 0)]);
    client.get(1, "/bytes/1000").unwrap();
    let head = client
        .wait_for(|frame| frame.kind == kind::HEADERS)
        .unwrap();
    assert!(!head.has(flag::END_STREAM), "{head:?}");
    assert_eq!(data(&mut client, 1), []);
    client.frame(&Frame::window_update(1, 1)).unwrap();
    takes(&mut client, 1, 1);
    // Another stream does not wait for it.
    client.get(3, "/bytes/0").unwrap();
    assert_eq!(client.outcome(3), Outcome::Served(200, vec![]));
    client
        .frame(&Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, 10)]))
        .unwrap();
    takes(&mut client, 1, 10);
    // The window is negative now, and has to become positive first.
    client
        .frame(&Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, 5)]))
        .unwrap();
    client.frame(&Frame::window_update(1, 5)).unwrap();
    assert_eq!(data(&mut client, 1), []);
    client.frame(&Frame::window_update(1, 2)).unwrap();
    takes(&mut client, 1, 2);
    client.frame(&Frame::window_update(1, 987)).unwrap();
    takes(&mut client, 1, 987);
}

#[test]
fn the_server_keeps_within_the_window_of_the_connection() {
    let server = Server::start();
    let mut client = RawHttp2::connect(server.address, &[(setting::INITIAL_WINDOW_SIZE, MOST)]);
    client.get(1, "/bytes/65536").unwrap();
    takes(&mut client, 1, 65_535);
    // None is left for another stream.
    client.get(3, "/").unwrap();
    let _ = client
        .wait_for(|frame| frame.kind == kind::HEADERS && frame.stream == 3)
        .unwrap();
    assert_eq!(data(&mut client, 3), []);
    client.frame(&Frame::window_update(0, 1)).unwrap();
    client.frame(&Frame::window_update(0, 1000)).unwrap();
    takes(&mut client, 1, 1);
    let is_end = |frame: &Frame| frame.stream == 3 && frame.has(flag::END_STREAM);
    let _ = client.wait_for(is_end).unwrap();
}

#[test]
fn frames_are_no_larger_than_the_client_allows() {
    let server = Server::start();
    let mut client = RawHttp2::connect(server.address, &[(setting::INITIAL_WINDOW_SIZE, MOST)]);
    client.frame(&Frame::window_update(0, 1 << 24)).unwrap();
    client.get(1, "/bytes/300000").unwrap();
    let mut bytes = 0;
    while bytes < 300_000 {
        let data = client.wait_for(|frame| frame.kind == kind::DATA).unwrap();
        assert!(data.payload.len() <= 16_384, "{}", data.payload.len());
        bytes += data.payload.len();
    }
}

#[test]
fn a_client_keeps_within_the_window_of_the_server() {
    // For a body that the application does not read, the window is the limit of what the server holds.
    let server = Server::start();
    let mut client = RawHttp2::connect(server.address, &[]);
    let fields = Fields::post("/hold");
    client
        .frame(&Frame::headers(1, flag::END_HEADERS, fields))
        .unwrap();
    let frame = Frame::data(1, 0, vec![0; 16_384]);
    // 64 MiB, until the server has closed the connection.
    for _ in 0..4096 {
        if client.frame(&frame).is_err() {
            break;
        }
    }
    let outcome = client.outcome(1);
    let is_limited = matches!(
        outcome,
        Outcome::GoAway(code::FLOW_CONTROL_ERROR)
            | Outcome::Reset(code::FLOW_CONTROL_ERROR)
            | Outcome::Closed
    );
    assert!(is_limited, "{outcome:?}");
}

#[test]
fn an_upload_larger_than_the_windows_is_read() {
    let server = Server::start();
    let mut client = RawHttp2::connect(server.address, &[]);
    let fields = Fields::post("/upload");
    client
        .frame(&Frame::headers(1, flag::END_HEADERS, fields))
        .unwrap();
    // What is sent beyond them waits for WINDOW_UPDATE.
    let initial = client.setting(setting::INITIAL_WINDOW_SIZE);
    let (mut stream, mut connection) = (i64::from(initial.unwrap_or(65_535)), 65_535_i64);
    let (mut left, piece) = (4_000_000_i64, 16_000_i64);
    while left > 0 {
        while stream < piece || connection < piece {
            let update = client
                .wait_for(|frame| frame.kind == kind::WINDOW_UPDATE)
                .unwrap();
            let window = if update.stream == 0 {
                &mut connection
            } else {
                &mut stream
            };
            *window += i64::from(update.number(0));
        }
        let length = piece.min(left);
        (stream, connection, left) = (stream - length, connection - length, left - length);
        let flags = if left == 0 { flag::END_STREAM } else { 0 };
        client
            .frame(&Frame::data(1, flags, vec![0; length as usize]))
            .unwrap();
    }
    assert_eq!(client.outcome(1), Outcome::Served(200, b"4000000".to_vec()));
}
