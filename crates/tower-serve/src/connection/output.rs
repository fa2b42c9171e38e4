//! What a connection writes: whose bytes they are, whether the socket takes them, and in which turn.

use std::ops::RangeInclusive;

/// The numbers of connections of a worker with which writes are coalesced. One that is alone has nothing to wait for,
/// and with many, the data of one has left the processor's caches by its next turn.
const COALESCED: RangeInclusive<usize> = 2..=256;

/// The state of a connection's output.
#[derive(Debug)]
pub(super) struct Output {
    written: u64,
    content: Content,
    /// The socket does not take what there is to write.
    is_blocked: bool,
    coalescing: WriteCoalescing,
}

/// What hyper has to write.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Content {
    /// Nothing. If hyper writes now, it refuses a request that it could not parse.
    Nothing,
    /// A response, or the rest of one.
    Response,
    /// hyper has refused a request. What it wrote, which has no body, was discarded.
    Refusal,
}

/// What to do with bytes that hyper writes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum WriteStep {
    Write,
    /// Write them in the next turn.
    Defer,
    /// Never write them: the connection writes a response of its own.
    Discard,
    /// Write them to the socket of an upgraded connection.
    Upgrade,
}

/// What has happened since the event loop has come to this connection. A response to what was read in this turn is written
/// in the next one, when the event loop has read what other clients have sent: written together, responses interrupt their
/// receiver (a proxy on this machine, say) once, and written one by one, each time. A write is deferred once: while a client
/// sends without a pause, each turn begins with a read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum WriteCoalescing {
    NothingRead,
    Read,
    /// The write is for the next turn.
    Deferred,
    /// The write was deferred to this turn.
    Due,
}

impl Output {
    pub(super) fn new() -> Self {
        Self {
            written: 0,
            content: Content::Nothing,
            is_blocked: false,
            coalescing: WriteCoalescing::NothingRead,
        }
    }

    /// Bytes that the socket has taken.
    pub(super) fn written(&self) -> u64 {
        self.written
    }

    /// Something was read.
    pub(super) fn set_read(&mut self) {
        if self.coalescing == WriteCoalescing::NothingRead {
            self.coalescing = WriteCoalescing::Read;
        }
    }

    /// There will be a response.
    pub(super) fn begin_response(&mut self) {
        self.content = Content::Response;
    }

    /// hyper is about to write. `is_whole`: it has all of the response; that of others is not deferred, as an error would
    /// discard it. `connections` is the number of the worker's connections.
    pub(super) fn begin_write(&mut self, is_whole: bool, connections: usize) -> WriteStep {
        if self.content != Content::Response {
            self.content = Content::Refusal;
            return WriteStep::Discard;
        }
        let follows_read = matches!(
            self.coalescing,
            WriteCoalescing::Read | WriteCoalescing::Deferred
        );
        if !is_whole || !follows_read || !COALESCED.contains(&connections) {
            return WriteStep::Write;
        }
        self.coalescing = WriteCoalescing::Deferred;
        WriteStep::Defer
    }

    /// The socket has taken bytes.
    pub(super) fn add_written(&mut self, bytes: usize) {
        self.written += bytes as u64;
        self.is_blocked = false;
    }

    /// The socket takes nothing.
    pub(super) fn set_blocked(&mut self) {
        self.is_blocked = true;
    }

    pub(super) fn is_blocked(&self) -> bool {
        self.is_blocked
    }

    /// All that hyper had was written. `is_whole`: that was all of the response.
    pub(super) fn set_flushed(&mut self, is_whole: bool) {
        self.is_blocked = false;
        if is_whole && self.content == Content::Response {
            self.content = Content::Nothing;
        }
    }

    /// hyper writes nothing more here.
    pub(super) fn end(&mut self) {
        self.content = Content::Nothing;
        self.is_blocked = false;
        self.coalescing = WriteCoalescing::NothingRead;
    }

    /// Whether hyper has refused a request that has yet to be responded to.
    pub(super) fn take_refusal(&mut self) -> bool {
        let is_refusal = self.content == Content::Refusal;
        if is_refusal {
            self.content = Content::Nothing;
        }
        is_refusal
    }

    /// The event loop leaves this connection. Returns whether a write was deferred, for which it comes again at once.
    pub(super) fn end_turn(&mut self) -> bool {
        let is_deferred = self.coalescing == WriteCoalescing::Deferred;
        self.coalescing = match is_deferred {
            true => WriteCoalescing::Due,
            false => WriteCoalescing::NothingRead,
        };
        is_deferred
    }

    /// Whether hyper has failed to write in this turn.
    pub(super) fn has_unwritten(&self) -> bool {
        self.is_blocked || self.coalescing == WriteCoalescing::Deferred
    }

    /// Whether there is something to write, in this turn or in the next one.
    pub(super) fn is_pending(&self) -> bool {
        self.has_unwritten() || self.coalescing == WriteCoalescing::Due
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// With a response, and the next request was read.
    fn with_response() -> Output {
        let mut output = Output::new();
        output.begin_response();
        output.set_read();
        output
    }

    #[test]
    fn writes_are_deferred_among_some_connections_and_not_alone_or_among_many() {
        let many = *COALESCED.end();
        for (connections, defers) in [(1, false), (2, true), (many, true), (many + 1, false)] {
            let step = with_response().begin_write(true, connections);
            assert_eq!(step == WriteStep::Defer, defers, "{connections}");
        }
        let step = with_response().begin_write(false, 2);
        assert_eq!(step, WriteStep::Write, "it is not whole");
    }

    #[test]
    fn what_follows_a_read_is_written_in_the_next_turn_and_not_later() {
        let mut output = with_response();
        assert!(!output.end_turn());
        let step = output.begin_write(true, 2);
        assert_eq!(step, WriteStep::Write, "nothing was read");
        output.set_read();
        for _ in 0..2 {
            assert_eq!(output.begin_write(true, 2), WriteStep::Defer);
        }
        assert!(output.end_turn() && output.is_pending());
        output.set_read();
        assert_eq!(output.begin_write(true, 2), WriteStep::Write);
        assert!(!output.end_turn() && !output.is_pending());
        output.set_read();
        assert_eq!(output.begin_write(true, 2), WriteStep::Defer);
    }

    #[test]
    fn what_hyper_writes_without_a_response_is_a_refusal() {
        let mut output = with_response();
        assert_eq!(output.begin_write(true, 1), WriteStep::Write);
        output.add_written(10);
        output.set_flushed(false);
        assert_eq!(output.begin_write(true, 1), WriteStep::Write);
        output.set_flushed(true);
        assert!(!output.take_refusal());
        assert_eq!(output.begin_write(true, 1), WriteStep::Discard);
        assert!(output.take_refusal() && !output.take_refusal());
    }
}
