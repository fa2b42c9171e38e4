//! What the attackers send.

use std::time::Duration;

use tests::http2::{Fields, Frame, code, flag, kind, setting};

use super::End;
use crate::case::NEVER;

/// Frames in one write.
const BATCH: u32 = 100;

/// The streams that the server allows at once.
const STREAMS: u32 = 128;

/// More than a window may have.
const TOO_MUCH: u32 = (1 << 31) - 1;

/// What an attacker does on each of its connections.
#[derive(Clone)]
pub(super) struct Attack {
    pub(super) name: &'static str,
    pub(super) settings: &'static [(u16, u32)],
    /// What it sends once, after the settings.
    pub(super) first: Vec<u8>,
    /// What it sends again and again, with the next stream that is free.
    pub(super) more: fn(&mut u32) -> Vec<u8>,
    /// Between two of those.
    pub(super) pause: Duration,
    /// Whether it reads what the server sends.
    pub(super) reads: bool,
    pub(super) end: End,
}

impl Attack {
    /// One that the server ends.
    fn new(name: &'static str, more: fn(&mut u32) -> Vec<u8>) -> Self {
        Self {
            name,
            settings: &[(setting::HEADER_TABLE_SIZE, 0)],
            first: Vec::new(),
            more,
            pause: Duration::ZERO,
            reads: true,
            end: End::Closed,
        }
    }
}

/// The frames that `each` makes for the next streams.
fn batch(next: &mut u32, each: impl Fn(u32) -> Vec<Frame>) -> Vec<u8> {
    let mut bytes = Vec::new();
    for _ in 0..BATCH {
        bytes.extend(each(*next).iter().flat_map(Frame::bytes));
        *next += 2;
    }
    bytes
}

/// The same frame many times.
fn repeat(frame: &Frame) -> Vec<u8> {
    frame.bytes().repeat(BATCH as usize)
}

fn get(stream: u32, path: &str) -> Frame {
    Frame::headers(stream, flag::WHOLE, Fields::get(path))
}

/// A request whose body is to come.
fn post(stream: u32, path: &str) -> Frame {
    Frame::headers(stream, flag::END_HEADERS, Fields::post(path))
}

/// The requests of the streams that the server allows at once.
fn all_streams(each: impl Fn(u32) -> Frame) -> Vec<u8> {
    let streams = (0..STREAMS).map(|number| number * 2 + 1);
    streams.flat_map(|stream| each(stream).bytes()).collect()
}

/// Requests that are taken back at once.
pub(super) fn rapid_reset(name: &'static str) -> Attack {
    Attack::new(name, |next| {
        batch(next, |stream| {
            vec![get(stream, NEVER), Frame::reset(stream, code::CANCEL)]
        })
    })
}

/// Requests that the server has to reset.
pub(super) fn reset_by_bad_frames(name: &'static str) -> Attack {
    Attack::new(name, |next| {
        batch(next, |stream| {
            vec![
                post(stream, "/hold"),
                Frame::window_update(stream, TOO_MUCH),
            ]
        })
    })
}

/// Streams beyond the limit.
pub(super) fn refused_streams(name: &'static str) -> Attack {
    Attack::new(name, |next| batch(next, |stream| vec![get(stream, NEVER)]))
}

/// A list of fields that does not end.
pub(super) fn continuations(name: &'static str) -> Attack {
    Attack {
        first: Frame::headers(1, flag::END_STREAM, Fields::get("/")).bytes(),
        ..Attack::new(name, |_| {
            let fields = Fields::new().field("x", vec![b'x'; 16_000]);
            Frame::continuation(1, 0, fields).bytes()
        })
    }
}

pub(super) fn pings(name: &'static str) -> Attack {
    Attack::new(name, |_| repeat(&Frame::ping([1; 8])))
}

/// Each changes the windows of open streams.
pub(super) fn settings(name: &'static str) -> Attack {
    Attack {
        first: all_streams(|stream| get(stream, NEVER)),
        ..Attack::new(name, |next| {
            *next += 1;
            repeat(&Frame::settings(&[(setting::INITIAL_WINDOW_SIZE, *next)]))
        })
    }
}

pub(super) fn window_updates(name: &'static str) -> Attack {
    Attack {
        first: get(1, NEVER).bytes(),
        ..Attack::new(name, |_| repeat(&Frame::window_update(1, 1)))
    }
}

pub(super) fn unknown_frames(name: &'static str) -> Attack {
    Attack::new(name, |_| repeat(&Frame::new(kind::UNKNOWN, 0, 0, [])))
}

/// Responses that the client does not want to have.
pub(super) fn no_window(name: &'static str) -> Attack {
    Attack {
        settings: &[(setting::INITIAL_WINDOW_SIZE, 0)],
        first: all_streams(|stream| get(stream, "/bytes/100000")),
        pause: Duration::from_millis(10),
        end: End::Open,
        ..Attack::new(name, |_| Vec::new())
    }
}

/// Responses that the client takes byte by byte.
pub(super) fn a_window_of_one(name: &'static str) -> Attack {
    Attack {
        settings: &[(setting::INITIAL_WINDOW_SIZE, 1)],
        first: all_streams(|stream| get(stream, "/bytes/100000")),
        ..Attack::new(name, |next| {
            let mut bytes = Frame::window_update(0, BATCH).bytes();
            for _ in 0..BATCH {
                bytes.extend(Frame::window_update(*next, 1).bytes());
                *next = (*next + 2) % (STREAMS * 2);
            }
            bytes
        })
    }
}

/// A body that does not grow.
pub(super) fn empty_data(name: &'static str) -> Attack {
    Attack {
        first: post(1, "/upload").bytes(),
        ..Attack::new(name, |_| repeat(&Frame::data(1, 0, [])))
    }
}

pub(super) fn priorities(name: &'static str) -> Attack {
    Attack::new(name, |next| {
        batch(next, |stream| vec![Frame::priority(stream, 0)])
    })
}

/// Fields that are long in the table and short in the frame, far beyond the limit.
pub(super) fn compression_bombs(name: &'static str) -> Attack {
    Attack {
        first: {
            let fields = Fields::get("/").indexed_field("x", "x".repeat(4000));
            Frame::headers(1, flag::WHOLE, fields).bytes()
        },
        ..Attack::new(name, |next| {
            *next += 2;
            let fields = (0..12_000).fold(Fields::get("/"), |fields, _| fields.index(62));
            Frame::headers(*next, flag::WHOLE, fields).bytes()
        })
    }
}

/// The same, only a little beyond the limit: each has its response, and its stream is reset.
pub(super) fn lists_beyond_the_limit(name: &'static str) -> Attack {
    Attack {
        first: {
            let fields = Fields::get("/").indexed_field("x", "x".repeat(4000));
            Frame::headers(1, flag::WHOLE, fields).bytes()
        },
        ..Attack::new(name, |next| {
            *next += 2;
            let fields = (0..30).fold(Fields::get("/"), |fields, _| fields.index(62));
            Frame::headers(*next, flag::WHOLE, fields).bytes()
        })
    }
}

/// Bodies that come byte by byte, on all streams.
pub(super) fn slow_bodies(name: &'static str) -> Attack {
    Attack {
        first: all_streams(|stream| post(stream, "/upload")),
        pause: Duration::from_millis(50),
        end: End::Open,
        ..Attack::new(name, |_| all_streams(|stream| Frame::data(stream, 0, "x")))
    }
}

/// Pings whose replies the client does not read.
pub(super) fn no_reader(name: &'static str) -> Attack {
    Attack {
        first: all_streams(|stream| get(stream, "/bytes/60000")),
        reads: false,
        ..Attack::new(name, |_| repeat(&Frame::ping([1; 8])))
    }
}
