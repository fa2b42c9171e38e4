//! SETTINGS (RFC 9113 section 6.5).

use tests::http2::{Frame, RawHttp2, code, flag, kind, setting};

use crate::{
    Server,
    case::{
        Case,
        Expect::{GoAway, Served},
        NEVER, case, check,
    },
};

const PROTOCOL: &[crate::case::Expect] = &[GoAway(code::PROTOCOL_ERROR)];

/// h2 reports errors in settings as `PROTOCOL_ERROR`, where the RFC has codes of their own.
const SIZE: &[crate::case::Expect] =
    &[GoAway(code::FRAME_SIZE_ERROR), GoAway(code::PROTOCOL_ERROR)];

const CASES: &[Case] = &[
    case(
        "6.5 an acknowledgement has no payload",
        |client| {
            client.frame(&Frame::new(kind::SETTINGS, flag::ACK, 0, [0; 6]))?;
            Ok(1)
        },
        SIZE,
    ),
    case(
        "6.5 SETTINGS belong to the connection",
        |client| {
            client.frame(&Frame::new(kind::SETTINGS, 0, 1, []))?;
            Ok(1)
        },
        PROTOCOL,
    ),
    case(
        "6.5 a setting has 6 bytes",
        |client| {
            client.frame(&Frame::new(kind::SETTINGS, 0, 0, [0; 7]))?;
            Ok(1)
        },
        SIZE,
    ),
    case(
        "6.5.2 ENABLE_PUSH is 0 or 1",
        |client| {
            client.frame(&Frame::settings(&[(setting::ENABLE_PUSH, 2)]))?;
            Ok(1)
        },
        PROTOCOL,
    ),
    case(
        "6.5.2 a window has at most 2^31-1 bytes",
        |client| {
            client.frame(&Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, 1 << 31)]))?;
            Ok(1)
        },
        &[
            GoAway(code::FLOW_CONTROL_ERROR),
            GoAway(code::PROTOCOL_ERROR),
        ],
    ),
    case(
        "6.5.2 a frame may have at least 16 384 bytes",
        |client| {
            client.frame(&Frame::settings(&[(setting::MAX_FRAME_SIZE, 16_383)]))?;
            Ok(1)
        },
        PROTOCOL,
    ),
    case(
        "6.5.2 a frame has at most 2^24-1 bytes",
        |client| {
            client.frame(&Frame::settings(&[(setting::MAX_FRAME_SIZE, 1 << 24)]))?;
            Ok(1)
        },
        PROTOCOL,
    ),
    case(
        "6.5.2 the limits of each setting are in it",
        |client| {
            client.frame(&Frame::settings(&[
                (setting::HEADER_TABLE_SIZE, 0),
                (setting::ENABLE_PUSH, 0),
                (setting::ENABLE_PUSH, 1),
                (setting::MAX_CONCURRENT_STREAMS, 0),
                (setting::MAX_CONCURRENT_STREAMS, u32::MAX),
                (setting::INITIAL_WINDOW_SIZE, (1 << 31) - 1),
                (setting::MAX_FRAME_SIZE, 16_384),
                (setting::MAX_FRAME_SIZE, (1 << 24) - 1),
                (setting::MAX_HEADER_LIST_SIZE, u32::MAX),
            ]))?;
            client.get(1, "/")?;
            Ok(1)
        },
        &[Served(200)],
    ),
    case(
        "6.5.2 unknown settings are ignored",
        |client| {
            client.frame(&Frame::settings(&[(0, 1), (0x7, 2), (0xffff, u32::MAX)]))?;
            client.get(1, "/")?;
            Ok(1)
        },
        &[Served(200)],
    ),
    case(
        "6.5.3 they may change while streams are open",
        |client| {
            client.get(1, NEVER)?;
            client.frame(&Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, 10)]))?;
            client.frame(&Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, 100)]))?;
            client.get(3, "/")?;
            Ok(3)
        },
        &[Served(200)],
    ),
];

#[test]
fn settings_are_checked() {
    check(CASES);
}

#[test]
fn each_settings_frame_is_acknowledged() {
    let server = Server::start();
    let mut client = RawHttp2::connect(server.address, &[]);
    let empty = Frame::settings(&[]);
    client
        .frames(&[empty.clone(), empty.clone(), empty])
        .unwrap();
    for _ in 0..3 {
        let ack = client.wait_for(|frame| frame.kind == kind::SETTINGS);
        assert_eq!(ack.unwrap(), Frame::new(kind::SETTINGS, flag::ACK, 0, []));
    }
}

#[test]
fn the_server_names_its_limits() {
    let server = Server::start();
    let client = RawHttp2::connect(server.address, &[]);
    let value = |setting| client.setting(setting);
    assert_eq!(value(setting::MAX_CONCURRENT_STREAMS), Some(128));
    assert_eq!(value(setting::MAX_HEADER_LIST_SIZE), Some(64 << 10));
    assert!(value(setting::INITIAL_WINDOW_SIZE) >= Some(65_535));
}
