//! Which frame takes from which allowance, and which refills it.

use tokio::time::Instant;

use super::{
    allowance::{Allowance, Rate},
    frames::{FrameHead, kind},
};

/// Frames that carry neither a request nor data. A client that reads slowly sends two `WINDOW_UPDATE` frames for each piece of
/// data; proxies and gRPC clients send a PING from time to time, and browsers some PRIORITY frames with each page.
const CONTROL: Rate = Rate {
    burst: 1000,
    per_second: 100,
};

/// Streams that the client resets. A proxy resets those of its own clients that leave; a browser resets all streams of a page.
const RESETS: Rate = Rate {
    burst: 1000,
    per_second: 50,
};

/// An error code: a client has broken a rule.
const PROTOCOL_ERROR: u32 = 0x1;

/// Another one: it causes too much load.
const ENHANCE_YOUR_CALM: u32 = 0xb;

/// A SETTINGS frame may change each stream, and needs an acknowledgement.
const SETTINGS_COST: u32 = 10;

/// `WINDOW_UPDATE` frames for a frame of the server: of the stream and of the connection.
const PER_FRAME: u32 = 2;

/// More of them, for a client that reads in smaller pieces.
const BYTES_PER_FRAME: u32 = 512;

/// Why the connection of a client is ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum FrameFault {
    /// Its first frame has no settings.
    NoSettings,
    /// Too many frames that carry neither a request nor data.
    Control,
    /// Too many streams that it has reset.
    Resets,
}

impl FrameFault {
    pub(super) fn text(self) -> &'static str {
        match self {
            Self::NoSettings => "the first frame is not SETTINGS",
            Self::Control => "too many frames without a request or data",
            Self::Resets => "too many reset streams",
        }
    }

    /// The error code in GOAWAY (RFC 9113 section 7).
    pub(super) fn code(self) -> u32 {
        match self {
            Self::NoSettings => PROTOCOL_ERROR,
            Self::Control | Self::Resets => ENHANCE_YOUR_CALM,
        }
    }
}

/// What a client may still send.
#[derive(Clone, Copy, Debug)]
pub(super) struct FrameLimits {
    control: Allowance,
    resets: Allowance,
    last_stream: u32,
    has_settings: bool,
}

impl FrameLimits {
    pub(super) fn new(now: Instant) -> Self {
        Self {
            control: Allowance::new(CONTROL, now),
            resets: Allowance::new(RESETS, now),
            last_stream: 0,
            has_settings: false,
        }
    }

    /// The last stream that the client has opened.
    pub(super) fn last_stream(&self) -> u32 {
        self.last_stream
    }

    /// Counts a frame of the client.
    pub(super) fn count_received(&mut self, frame: FrameHead) -> Result<(), FrameFault> {
        if !self.has_settings {
            self.has_settings = frame.is_settings();
            check(self.has_settings, FrameFault::NoSettings)?;
        }
        let now = Instant::now;
        match frame.kind {
            // It has the limits of requests, or ends one.
            kind::HEADERS => {
                self.last_stream = self.last_stream.max(frame.stream);
                Ok(())
            }
            kind::DATA if frame.length > 0 || frame.is_end_stream() => {
                self.control.refill(frame.length / BYTES_PER_FRAME);
                Ok(())
            }
            kind::RST_STREAM => check(self.resets.take(1, now), FrameFault::Resets),
            kind::SETTINGS => check(self.control.take(SETTINGS_COST, now), FrameFault::Control),
            _ => check(self.control.take(1, now), FrameFault::Control),
        }
    }

    /// Counts a frame of the server, which shows that the client gets what it has asked for.
    pub(super) fn count_sent(&mut self, frame: FrameHead) {
        if matches!(frame.kind, kind::DATA | kind::HEADERS) {
            self.control
                .refill(PER_FRAME + frame.length / BYTES_PER_FRAME);
        }
        if frame.is_end_stream() {
            self.resets.refill(1);
        }
    }
}

fn check(is_right: bool, fault: FrameFault) -> Result<(), FrameFault> {
    if is_right { Ok(()) } else { Err(fault) }
}

#[cfg(test)]
mod tests {
    use super::{
        super::frames::{FrameHeads, tests::frame},
        *,
    };

    fn head(kind: u8, flags: u8, length: usize) -> FrameHead {
        let mut found = None;
        FrameHeads::of_server().advance(&frame(kind, flags, 7, length), |head| found = Some(head));
        found.unwrap()
    }

    fn started() -> FrameLimits {
        let mut limits = FrameLimits::new(Instant::now());
        limits.count_received(head(kind::SETTINGS, 0, 6)).unwrap();
        limits.control.refill(SETTINGS_COST);
        limits
    }

    /// How many of these frames may come at once, up to 100 000.
    fn most(
        mut each: impl FnMut(&mut FrameLimits) -> Result<(), FrameFault>,
    ) -> (usize, FrameFault) {
        let mut limits = started();
        for count in 0..100_000 {
            if let Err(excess) = each(&mut limits) {
                return (count, excess);
            }
        }
        panic!("there is no limit")
    }

    #[test]
    fn the_first_frame_has_settings() {
        for (kind, flags, length) in [(1, 5, 10), (6, 0, 8), (0xfe, 0, 0), (kind::SETTINGS, 1, 0)] {
            let mut limits = FrameLimits::new(Instant::now());
            let counted = limits.count_received(head(kind, flags, length));
            assert_eq!(counted, Err(FrameFault::NoSettings), "{kind}");
        }
        started()
            .count_received(head(kind::SETTINGS, 1, 0))
            .unwrap();
    }

    #[tokio::test(start_paused = true)]
    async fn each_frame_without_progress_is_limited() {
        let flags = 0;
        for (kind, length, limit, excess) in [
            (0, 0, 1000, FrameFault::Control),      // DATA
            (2, 5, 1000, FrameFault::Control),      // PRIORITY
            (3, 4, 1000, FrameFault::Resets),       // RST_STREAM
            (4, 6, 100, FrameFault::Control),       // SETTINGS
            (6, 8, 1000, FrameFault::Control),      // PING
            (7, 8, 1000, FrameFault::Control),      // GOAWAY
            (8, 4, 1000, FrameFault::Control),      // WINDOW_UPDATE
            (9, 16_384, 1000, FrameFault::Control), // CONTINUATION
            (0x10, 9, 1000, FrameFault::Control),   // PRIORITY_UPDATE
            (0xfe, 0, 1000, FrameFault::Control),
        ] {
            let frame = head(kind, flags, length);
            let found = most(|limits| limits.count_received(frame));
            assert_eq!(found, (limit, excess), "{kind}");
        }
    }

    #[tokio::test(start_paused = true)]
    async fn opening_streams_does_not_pay_for_their_resets() {
        let found = most(|limits| {
            limits.count_received(head(kind::HEADERS, 5, 20))?;
            // The server may even begin to respond.
            limits.count_sent(head(kind::HEADERS, 4, 20));
            limits.count_received(head(kind::RST_STREAM, 0, 4))
        });
        assert_eq!(found, (1000, FrameFault::Resets));
    }

    #[tokio::test(start_paused = true)]
    async fn what_clients_do_is_within_the_limits() {
        let mut limits = started();
        let (request, whole) = (head(kind::HEADERS, 5, 20), head(kind::HEADERS, 4, 20));
        let (small, large) = (head(kind::DATA, 0, 1), head(kind::DATA, 0, 16_384));
        let (end, reset) = (head(kind::DATA, 1, 0), head(kind::RST_STREAM, 0, 4));
        let (window, ping) = (head(8, 0, 4), head(6, 0, 8));
        for _ in 0..10_000 {
            // A response in small pieces, each with two WINDOW_UPDATE frames.
            limits.count_received(request).unwrap();
            limits.count_sent(whole);
            limits.count_sent(small);
            limits.count_received(window).unwrap();
            limits.count_received(window).unwrap();
            limits.count_sent(end);
            // Every second response comes too late for its client.
            limits.count_received(reset).unwrap();
            // An upload in frames of 16 KiB, with a PING after each, and its end.
            limits.count_received(large).unwrap();
            limits.count_received(ping).unwrap();
            limits.count_received(end).unwrap();
        }
        assert_eq!(limits.last_stream(), 7);
    }

    #[tokio::test(start_paused = true)]
    async fn a_long_connection_may_ping_each_second() {
        let mut limits = started();
        for _ in 0..10_000 {
            limits.count_received(head(6, 0, 8)).unwrap();
            limits.count_received(head(kind::SETTINGS, 0, 6)).unwrap();
            limits.count_received(head(kind::RST_STREAM, 0, 4)).unwrap();
            tokio::time::advance(std::time::Duration::from_secs(1)).await;
        }
    }
}
