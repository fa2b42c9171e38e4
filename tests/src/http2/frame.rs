//! Frames (RFC 9113 sections 4 and 6), valid or not.

use std::io::{self, Read};

/// The types of frames.
pub mod kind {
    #![allow(missing_docs, reason = "the names of RFC 9113")]
    pub const DATA: u8 = 0;
    pub const HEADERS: u8 = 1;
    pub const PRIORITY: u8 = 2;
    pub const RST_STREAM: u8 = 3;
    pub const SETTINGS: u8 = 4;
    pub const PUSH_PROMISE: u8 = 5;
    pub const PING: u8 = 6;
    pub const GOAWAY: u8 = 7;
    pub const WINDOW_UPDATE: u8 = 8;
    pub const CONTINUATION: u8 = 9;
    /// No type that anyone has registered.
    pub const UNKNOWN: u8 = 0xbb;
}

/// The flags of frames.
pub mod flag {
    #![allow(missing_docs, reason = "the names of RFC 9113")]
    pub const ACK: u8 = 0x1;
    pub const END_STREAM: u8 = 0x1;
    pub const END_HEADERS: u8 = 0x4;
    pub const PADDED: u8 = 0x8;
    pub const PRIORITY: u8 = 0x20;
    /// A request without a body, in one frame.
    pub const WHOLE: u8 = END_STREAM | END_HEADERS;
}

/// Error codes.
pub mod code {
    #![allow(missing_docs, reason = "the names of RFC 9113")]
    pub const NO_ERROR: u32 = 0x0;
    pub const PROTOCOL_ERROR: u32 = 0x1;
    pub const FLOW_CONTROL_ERROR: u32 = 0x3;
    pub const STREAM_CLOSED: u32 = 0x5;
    pub const FRAME_SIZE_ERROR: u32 = 0x6;
    pub const REFUSED_STREAM: u32 = 0x7;
    pub const CANCEL: u32 = 0x8;
    pub const COMPRESSION_ERROR: u32 = 0x9;
    pub const ENHANCE_YOUR_CALM: u32 = 0xb;
}

/// Settings.
pub mod setting {
    #![allow(missing_docs, reason = "the names of RFC 9113")]
    pub const HEADER_TABLE_SIZE: u16 = 0x1;
    pub const ENABLE_PUSH: u16 = 0x2;
    pub const MAX_CONCURRENT_STREAMS: u16 = 0x3;
    pub const INITIAL_WINDOW_SIZE: u16 = 0x4;
    pub const MAX_FRAME_SIZE: u16 = 0x5;
    pub const MAX_HEADER_LIST_SIZE: u16 = 0x6;
}

/// A frame, valid or not.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Frame {
    /// One of [`kind`].
    pub kind: u8,
    /// Some of [`flag`].
    pub flags: u8,
    /// 0 is the connection.
    pub stream: u32,
    /// What follows the head.
    pub payload: Vec<u8>,
}

impl Frame {
    /// Any frame.
    #[must_use]
    pub fn new(kind: u8, flags: u8, stream: u32, payload: impl Into<Vec<u8>>) -> Self {
        Self {
            kind,
            flags,
            stream,
            payload: payload.into(),
        }
    }

    /// Data of a body.
    #[must_use]
    pub fn data(stream: u32, flags: u8, data: impl Into<Vec<u8>>) -> Self {
        Self::new(kind::DATA, flags, stream, data)
    }

    /// The fields of a request.
    #[must_use]
    pub fn headers(stream: u32, flags: u8, fields: impl Into<Vec<u8>>) -> Self {
        Self::new(kind::HEADERS, flags, stream, fields)
    }

    /// More fields.
    #[must_use]
    pub fn continuation(stream: u32, flags: u8, fields: impl Into<Vec<u8>>) -> Self {
        Self::new(kind::CONTINUATION, flags, stream, fields)
    }

    /// A stream's place among others, of weight 16.
    #[must_use]
    pub fn priority(stream: u32, parent: u32) -> Self {
        let mut payload = parent.to_be_bytes().to_vec();
        payload.push(15);
        Self::new(kind::PRIORITY, 0, stream, payload)
    }

    /// The end of a stream.
    #[must_use]
    pub fn reset(stream: u32, code: u32) -> Self {
        Self::new(kind::RST_STREAM, 0, stream, code.to_be_bytes())
    }

    /// Pairs of a [`setting`] and its value.
    #[must_use]
    pub fn settings(settings: &[(u16, u32)]) -> Self {
        let mut payload = Vec::new();
        for (setting, value) in settings {
            payload.extend(setting.to_be_bytes());
            payload.extend(value.to_be_bytes());
        }
        Self::new(kind::SETTINGS, 0, 0, payload)
    }

    /// A question whether the server is there.
    #[must_use]
    pub fn ping(payload: [u8; 8]) -> Self {
        Self::new(kind::PING, 0, 0, payload)
    }

    /// The end of the connection.
    #[must_use]
    pub fn go_away(last_stream: u32, code: u32) -> Self {
        let mut payload = last_stream.to_be_bytes().to_vec();
        payload.extend(code.to_be_bytes());
        Self::new(kind::GOAWAY, 0, 0, payload)
    }

    /// Room for more data.
    #[must_use]
    pub fn window_update(stream: u32, increment: u32) -> Self {
        Self::new(kind::WINDOW_UPDATE, 0, stream, increment.to_be_bytes())
    }

    /// The same, with this many bytes of padding. Not for frames whose payload begins with a priority.
    #[must_use]
    pub fn padded(mut self, padding: u8) -> Self {
        self.flags |= flag::PADDED;
        self.payload.insert(0, padding);
        let length = self.payload.len() + usize::from(padding);
        self.payload.resize(length, 0);
        self
    }

    /// As bytes.
    #[must_use]
    pub fn bytes(&self) -> Vec<u8> {
        self.bytes_of_length(self.payload.len() as u32)
    }

    /// The same, with another length in its head.
    #[must_use]
    pub fn bytes_of_length(&self, length: u32) -> Vec<u8> {
        let mut bytes = length.to_be_bytes()[1..].to_vec();
        bytes.extend([self.kind, self.flags]);
        bytes.extend(self.stream.to_be_bytes());
        bytes.extend(&self.payload);
        bytes
    }

    /// Reads the next frame.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` when the connection ends.
    pub fn read(stream: &mut impl Read) -> io::Result<Self> {
        let mut head = [0; 9];
        stream.read_exact(&mut head)?;
        let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = head;
        let mut payload = vec![0; u32::from_be_bytes([0, l0, l1, l2]) as usize];
        stream.read_exact(&mut payload)?;
        let stream = u32::from_be_bytes([s0, s1, s2, s3]);
        Ok(Self::new(kind, flags, stream, payload))
    }

    /// The 32-bit number at this place of the payload, such as an error code.
    ///
    /// # Panics
    ///
    /// When the payload is shorter.
    #[must_use]
    pub fn number(&self, at: usize) -> u32 {
        let bytes = self.payload[at..].first_chunk();
        u32::from_be_bytes(*bytes.expect("a frame of that length"))
    }

    /// Whether it has this flag.
    #[must_use]
    pub fn has(&self, flag: u8) -> bool {
        self.flags & flag != 0
    }
}
