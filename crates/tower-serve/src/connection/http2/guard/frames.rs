//! The heads of frames in one direction of an HTTP/2 connection (RFC 9113 section 4.1).

/// What a client sends before its first frame (RFC 9113 section 3.4).
pub(super) const PREFACE: &[u8; 24] = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

/// The length of a frame's head.
pub(super) const HEAD: usize = 9;

/// The types of frames (RFC 9113 section 6) that the limits distinguish.
pub(super) mod kind {
    pub(in super::super) const DATA: u8 = 0;
    pub(in super::super) const HEADERS: u8 = 1;
    pub(in super::super) const RST_STREAM: u8 = 3;
    pub(in super::super) const SETTINGS: u8 = 4;
    pub(in super::super) const GOAWAY: u8 = 7;
}

/// The flag of DATA and HEADERS frames after which the stream's sender sends no more.
const END_STREAM: u8 = 0x1;

/// The flag of a SETTINGS frame without settings.
const ACK: u8 = 0x1;

/// The head of a frame.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct FrameHead {
    pub(super) length: u32,
    pub(super) kind: u8,
    flags: u8,
    pub(super) stream: u32,
}

impl FrameHead {
    fn parse(bytes: [u8; HEAD]) -> Self {
        let [l0, l1, l2, kind, flags, s0, s1, s2, s3] = bytes;
        Self {
            length: u32::from_be_bytes([0, l0, l1, l2]),
            kind,
            flags,
            // The first bit is reserved.
            stream: u32::from_be_bytes([s0 & 0x7f, s1, s2, s3]),
        }
    }

    /// Whether it has settings, which may be none.
    pub(super) fn is_settings(self) -> bool {
        self.kind == kind::SETTINGS && self.flags & ACK == 0
    }

    /// Whether the stream's sender sends no more.
    pub(super) fn is_end_stream(self) -> bool {
        matches!(self.kind, kind::DATA | kind::HEADERS) && self.flags & END_STREAM != 0
    }
}

/// Follows the frames in a stream of bytes, by their heads alone.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameHeads(HeadPosition);

#[derive(Clone, Copy, Debug)]
enum HeadPosition {
    /// In a head, of which these bytes have come. Without one, that is where a frame ends.
    Head {
        bytes: [u8; HEAD],
        length: u8,
    },
    Payload {
        rest: u32,
    },
}

const BOUNDARY: HeadPosition = HeadPosition::Head {
    bytes: [0; HEAD],
    length: 0,
};

impl FrameHeads {
    /// Follows what a client sends: its preface comes first.
    pub(super) fn of_client() -> Self {
        Self(HeadPosition::Payload {
            rest: PREFACE.len() as u32,
        })
    }

    /// Follows what a server sends.
    pub(super) fn of_server() -> Self {
        Self(BOUNDARY)
    }

    /// Whether the last frame is whole, or there was none.
    pub(super) fn is_at_boundary(&self) -> bool {
        matches!(self.0, HeadPosition::Head { length: 0, .. })
    }

    /// Follows `bytes`, and calls `each` with the heads that are whole with them.
    pub(super) fn advance(&mut self, mut bytes: &[u8], mut each: impl FnMut(FrameHead)) {
        while !bytes.is_empty() {
            match &mut self.0 {
                HeadPosition::Payload { rest } => {
                    let skipped = bytes.len().min(*rest as usize);
                    bytes = &bytes[skipped..];
                    // No more than there are.
                    *rest -= skipped as u32;
                    if *rest == 0 {
                        self.0 = BOUNDARY;
                    }
                }
                HeadPosition::Head {
                    bytes: head,
                    length,
                } => {
                    let have = *length as usize;
                    let taken = bytes.len().min(HEAD - have);
                    head[have..have + taken].copy_from_slice(&bytes[..taken]);
                    bytes = &bytes[taken..];
                    *length += taken as u8;
                    if *length as usize == HEAD {
                        let head = FrameHead::parse(*head);
                        self.0 = match head.length {
                            0 => BOUNDARY,
                            rest => HeadPosition::Payload { rest },
                        };
                        each(head);
                    }
                }
            }
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(in super::super) fn frame(kind: u8, flags: u8, stream: u32, length: usize) -> Vec<u8> {
        let mut frame = (length as u32).to_be_bytes()[1..].to_vec();
        frame.extend([kind, flags]);
        frame.extend(stream.to_be_bytes());
        // As a head, if it were taken for one.
        frame.extend(std::iter::repeat_n(0x01, length));
        frame
    }

    #[test]
    fn heads_are_found_in_pieces_of_any_length() {
        let mut bytes = PREFACE.to_vec();
        let mut expected = Vec::new();
        for (number, length) in [0, 1, 8, 9, 10, 300, 0, 16_384, 70_000, 0]
            .iter()
            .enumerate()
        {
            let (kind, stream) = (number as u8, number as u32 * 2 + 1);
            bytes.extend(frame(kind, 5, stream, *length));
            expected.push(FrameHead {
                length: *length as u32,
                kind,
                flags: 5,
                stream,
            });
        }
        for seed in 0..50 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut heads = FrameHeads::of_client();
            let (mut rest, mut found) = (&bytes[..], Vec::new());
            while !rest.is_empty() {
                let most = if random.bool() { 3 } else { 90_000 };
                let (piece, after) = rest.split_at(random.usize(1..=most.min(rest.len())));
                heads.advance(piece, |head| found.push(head));
                rest = after;
            }
            assert_eq!(found, expected, "{seed}");
            assert!(heads.is_at_boundary(), "{seed}");
        }
    }

    #[test]
    fn a_frame_that_is_not_whole_has_no_boundary() {
        let mut heads = FrameHeads::of_server();
        assert!(heads.is_at_boundary());
        let bytes = frame(kind::DATA, 0, 1, 4);
        for byte in &bytes[..bytes.len() - 1] {
            heads.advance(&[*byte], |_| {});
            assert!(!heads.is_at_boundary());
        }
        heads.advance(&bytes[bytes.len() - 1..], |_| {});
        assert!(heads.is_at_boundary());
    }

    #[test]
    fn the_reserved_bit_is_no_part_of_the_stream() {
        let mut heads = FrameHeads::of_server();
        let mut streams = Vec::new();
        heads.advance(&frame(0, 1, 0x8000_0003, 0), |head| {
            assert!(head.is_end_stream());
            streams.push(head.stream);
        });
        assert_eq!(streams, [3]);
        // The same bit has another meaning there.
        heads.advance(&frame(kind::SETTINGS, 1, 0, 0), |head| {
            assert!(!head.is_end_stream());
        });
    }
}
