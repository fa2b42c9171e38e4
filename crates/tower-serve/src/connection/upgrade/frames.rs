//! Where the frames of a WebSocket end in the bytes of one side (RFC 6455 section 5.2), and the server's own frames.

const CLOSE: u8 = 0x8;

/// The longest header without a masking key, which is counted as payload.
const MAX_HEADER: usize = 10;
const MASK: u64 = 4;

/// A control frame that the server adds to those of the service.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum ControlFrame {
    /// The client is to show that it is there.
    Ping,
    /// The close frame with code 1001, going away.
    GoingAway,
}

impl ControlFrame {
    pub(super) const fn bytes(self) -> &'static [u8] {
        match self {
            Self::Ping => &[0x89, 0],
            Self::GoingAway => &[0x88, 2, 0x03, 0xe9],
        }
    }
}

/// Follows the frames in a stream of bytes, by their headers alone.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameScanner {
    position: Position,
    is_closing: bool,
}

#[derive(Clone, Copy, Debug)]
enum Position {
    /// In a header, of which these bytes have come. Without one, that is where a frame ends.
    Header {
        bytes: [u8; MAX_HEADER],
        length: usize,
    },
    Payload {
        rest: u64,
    },
}

const BOUNDARY: Position = Position::Header {
    bytes: [0; MAX_HEADER],
    length: 0,
};

impl FrameScanner {
    pub(super) fn new() -> Self {
        Self {
            position: BOUNDARY,
            is_closing: false,
        }
    }

    /// Whether the last frame is whole, or there was none.
    pub(super) fn is_at_boundary(&self) -> bool {
        matches!(self.position, Position::Header { length: 0, .. })
    }

    /// Whether a close frame has begun, after which no frame may follow.
    pub(super) fn is_closing(&self) -> bool {
        self.is_closing
    }

    /// Follows `bytes`.
    pub(super) fn advance(&mut self, mut bytes: &[u8]) {
        while !bytes.is_empty() {
            bytes = &bytes[self.step(bytes)..];
        }
    }

    /// How many of the next `bytes` belong to the current frame; all of them if it does not end in them.
    pub(super) fn rest_of_frame(&self, bytes: &[u8]) -> usize {
        if self.is_at_boundary() {
            return 0;
        }
        let mut copy = *self;
        copy.step(bytes)
    }

    /// Follows `bytes` to the end of the frame. Returns how many that were.
    fn step(&mut self, bytes: &[u8]) -> usize {
        let mut used = 0;
        if let Position::Header {
            bytes: header,
            length,
        } = &mut self.position
        {
            let payload = loop {
                if let Some(payload) = payload(&header[..*length]) {
                    break payload;
                }
                let Some(byte) = bytes.get(used) else {
                    return used;
                };
                header[*length] = *byte;
                *length += 1;
                used += 1;
            };
            self.is_closing |= header[0] & 0xf == CLOSE;
            self.position = Position::Payload { rest: payload };
        }
        if let Position::Payload { rest } = &mut self.position {
            let skipped = (*rest).min((bytes.len() - used) as u64);
            *rest -= skipped;
            // No more than there are.
            used += usize::try_from(skipped).unwrap_or(0);
            if *rest == 0 {
                self.position = BOUNDARY;
            }
        }
        used
    }
}

/// The length of what follows a header without its masking key, once the header is whole.
fn payload(header: &[u8]) -> Option<u64> {
    let [_, second, rest @ ..] = header else {
        return None;
    };
    let length = match second & 0x7f {
        126 => u64::from(u16::from_be_bytes(*rest.first_chunk()?)),
        127 => u64::from_be_bytes(*rest.first_chunk()?),
        length => u64::from(length),
    };
    let mask = if second & 0x80 == 0 { 0 } else { MASK };
    Some(length.saturating_add(mask))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn frame(opcode: u8, length: usize, is_masked: bool) -> Vec<u8> {
        let mask = if is_masked { 0x80 } else { 0 };
        let mut frame = vec![0x80 | opcode];
        match length {
            0..126 => frame.push(mask | length as u8),
            126..65_536 => {
                frame.push(mask | 126);
                frame.extend((length as u16).to_be_bytes());
            }
            _ => {
                frame.push(mask | 127);
                frame.extend((length as u64).to_be_bytes());
            }
        }
        if is_masked {
            frame.extend([0x88; 4]);
        }
        // As the headers of close frames, if it were taken for some.
        frame.extend(std::iter::repeat_n(0x88, length));
        frame
    }

    /// Frames of all forms of a length, and where each of them ends.
    fn frames(is_masked: bool) -> (Vec<u8>, Vec<usize>) {
        let (mut bytes, mut ends) = (Vec::new(), Vec::new());
        for length in [0, 1, 125, 126, 127, 300, 0, 65_535, 65_536, 2] {
            bytes.extend(frame(2, length, is_masked));
            ends.push(bytes.len());
        }
        (bytes, ends)
    }

    #[test]
    fn ends_are_found_however_the_bytes_are_split() {
        for is_masked in [false, true] {
            let (bytes, ends) = frames(is_masked);
            // Every split where it matters: around the headers.
            let near = |split: &usize| ends.iter().any(|end| split.abs_diff(*end) < 20);
            for split in (0..bytes.len()).filter(|split| *split < 20 || near(split)) {
                let mut frames = FrameScanner::new();
                frames.advance(&bytes[..split]);
                let is_end = split == 0 || ends.contains(&split);
                assert_eq!(frames.is_at_boundary(), is_end, "{split}");
                let next = ends.iter().find(|end| **end >= split).unwrap();
                let rest = if is_end { 0 } else { next - split };
                assert_eq!(frames.rest_of_frame(&bytes[split..]), rest, "{split}");
                frames.advance(&bytes[split..]);
                assert!(frames.is_at_boundary() && !frames.is_closing(), "{split}");
            }
        }
    }

    #[test]
    fn ends_are_found_in_pieces_of_any_length() {
        let (bytes, ends) = frames(false);
        for seed in 0..50 {
            let mut random = fastrand::Rng::with_seed(seed);
            let mut frames = FrameScanner::new();
            let mut at = 0;
            while at < bytes.len() {
                let most = if random.bool() { 3 } else { 70_000 };
                let piece = random.usize(1..=most.min(bytes.len() - at));
                frames.advance(&bytes[at..at + piece]);
                at += piece;
                assert_eq!(frames.is_at_boundary(), ends.contains(&at), "{seed} {at}");
            }
        }
    }

    #[test]
    fn a_close_frame_is_known_from_its_first_bytes() {
        let mut frames = FrameScanner::new();
        frames.advance(&frame(8, 2, false)[..2]);
        assert!(frames.is_closing() && !frames.is_at_boundary());
        // The server's own frames are what they say.
        for (own, closes) in [(ControlFrame::Ping, false), (ControlFrame::GoingAway, true)] {
            let mut frames = FrameScanner::new();
            frames.advance(own.bytes());
            assert!(frames.is_at_boundary());
            assert_eq!(frames.is_closing(), closes);
        }
    }

    #[test]
    fn a_length_beyond_all_does_not_overflow() {
        let mut frames = FrameScanner::new();
        frames.advance(&[0x82, 0xff]);
        frames.advance(&[0xff; 8]);
        assert!(!frames.is_at_boundary());
        assert_eq!(frames.rest_of_frame(&[0; 100]), 100);
    }
}
