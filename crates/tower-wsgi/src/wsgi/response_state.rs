//! The state of a response: the order of calls that PEP 3333 demands.

use std::{io, mem};

use bytes::Bytes;
use tower_blocking::internal::BodyWriter;

use super::{
    file::FileBody,
    head::{ContentLengthBudget, Head, StartError, Truncated},
};

/// The limit of what `write` buffers until the application returns, where it cannot be sent earlier: on the event loop.
const MAX_BUFFERED: usize = 8 << 20;

/// The number of buffered bytes of a deferred response from which on its application is to wait.
const HIGH_MARK: usize = 64 << 10;

/// How far a response has come.
///
/// ```text
///             write, on a pool
/// Open ──────────────────────────> Streaming ──> Ended
///   └───> Buffering ───────────────────────────────┘
///      write, on the event loop; or the application has returned
/// ```
pub(super) enum ResponseState {
    /// Nothing has been sent: the head may be replaced.
    Open {
        /// Whether `start_response` was called, even in vain.
        is_called: bool,
        head: Option<Head>,
        file: Option<FileBody>,
    },
    /// The head is final. The service sends it with the first piece of the body; what is written in the meantime is
    /// buffered for it.
    Buffering {
        /// `None` when the service has taken it.
        head: Option<Head>,
        has_body: bool,
        budget: ContentLengthBudget,
        buffer: Vec<u8>,
    },
    /// `write` has sent the head, and sends the body.
    Streaming {
        writer: BodyWriter,
        budget: ContentLengthBudget,
    },
    /// Nothing more is sent.
    Ended,
}

/// What the service sends when the application has returned.
pub(super) enum Returned {
    /// A file; the pieces are not asked for.
    File(FileBody),
    /// Nothing: `write` has sent all bytes of the `Content-Length`.
    Nothing,
    /// The pieces.
    Pieces,
}

/// How a response begins, when the first piece is there.
pub(super) enum Beginning {
    /// It does not: `start_response` was not called with success.
    NotStarted,
    /// `write` has sent the head, so the pieces have to be written as well.
    Streaming,
    /// The service sends the head.
    Head {
        head: Head,
        has_body: bool,
        /// Whether something was written before the application returned.
        was_written: bool,
    },
}

impl ResponseState {
    pub(super) fn new() -> Self {
        Self::Open {
            is_called: false,
            head: None,
            file: None,
        }
    }

    /// The head is final, and the service sends it. `is_head` says that the request is a `HEAD`.
    pub(super) fn buffering(head: Head, is_head: bool) -> Self {
        Self::Buffering {
            has_body: !is_head && head.allows_body(),
            budget: head.budget(),
            head: Some(head),
            buffer: Vec::new(),
        }
    }

    /// Sets the head for the first time.
    pub(super) fn start(&mut self, new: Result<Head, StartError>) -> Result<(), StartError> {
        match self {
            Self::Open {
                is_called, head, ..
            } if !*is_called => {
                *is_called = true;
                *head = Some(new?);
                Ok(())
            }
            _ => Err(StartError::CalledTwice),
        }
    }

    /// Replaces the head, and a file; `false` if the head has been sent.
    pub(super) fn restart(&mut self, new: Result<Head, StartError>) -> Result<bool, StartError> {
        self.refuse();
        match self {
            Self::Open { head, .. } => {
                *head = Some(new?);
                Ok(true)
            }
            _ => Ok(false),
        }
    }

    /// Notes a call of `start_response` that starts nothing: removes what was started before, unless it has been sent.
    pub(super) fn refuse(&mut self) {
        if let Self::Open { .. } = self {
            *self = Self::Open {
                is_called: true,
                head: None,
                file: None,
            };
        }
    }

    /// Makes a file the body.
    pub(super) fn send_file(&mut self, new: FileBody) -> io::Result<()> {
        match self {
            Self::Open { file, .. } => {
                *file = Some(new);
                Ok(())
            }
            _ => Err(io::Error::other(
                "a part of the body was written already; return the file in pieces",
            )),
        }
    }

    /// From now on nothing is written on a thread of a pool. Returns what sends the part that was, and the rest of its
    /// `Content-Length`.
    pub(super) fn defer(&mut self) -> Option<(BodyWriter, ContentLengthBudget)> {
        let Self::Streaming { budget, .. } = self else {
            return None;
        };
        let rest = Self::Buffering {
            head: None,
            has_body: true,
            budget: *budget,
            buffer: Vec::new(),
        };
        match mem::replace(self, rest) {
            Self::Streaming { writer, budget } => Some((writer, budget)),
            _ => None,
        }
    }

    /// The application has returned.
    pub(super) fn returned(&mut self) -> Returned {
        match self {
            Self::Open { file, .. } => file.take().map_or(Returned::Pieces, Returned::File),
            _ if self.is_complete() => Returned::Nothing,
            _ => Returned::Pieces,
        }
    }

    /// The first piece is there, or there is none: the service takes the head.
    pub(super) fn begin(&mut self, is_head: bool) -> Beginning {
        let was_written = !matches!(self, Self::Open { .. });
        if let Self::Open { head, .. } = self
            && let Some(head) = head.take()
        {
            *self = Self::buffering(head, is_head);
        }
        match self {
            Self::Streaming { .. } => Beginning::Streaming,
            Self::Buffering { head, has_body, .. } => {
                head.take()
                    .map_or(Beginning::NotStarted, |head| Beginning::Head {
                        head,
                        has_body: *has_body,
                        was_written,
                    })
            }
            Self::Open { .. } | Self::Ended => Beginning::NotStarted,
        }
    }

    /// The head, if the first piece is written now; the caller makes it final.
    pub(super) fn take_head_to_write(&mut self) -> io::Result<Option<Head>> {
        match self {
            Self::Open { file: Some(_), .. } => Err(io::Error::other(
                "a file is the body of the response; nothing can be written to it",
            )),
            Self::Open { head, .. } => head.take().map(Some).ok_or_else(|| {
                io::Error::other(
                    "the last call of start_response has failed, so nothing can be written",
                )
            }),
            _ => Ok(None),
        }
    }

    /// Keeps a piece for the service.
    pub(super) fn buffer(
        &mut self,
        mut piece: Bytes,
        is_deferred: bool,
    ) -> io::Result<Option<Truncated>> {
        match self {
            Self::Buffering {
                has_body: false, ..
            } => Ok(None),
            Self::Buffering { budget, buffer, .. } => {
                let truncated = budget.take(&mut piece);
                if buffer.len() + piece.len() > MAX_BUFFERED {
                    return Err(io::Error::other(if is_deferred {
                        format!(
                            "more than {MAX_BUFFERED} bytes were written before the client has read them; \
                             wait for room after each write"
                        )
                    } else {
                        format!(
                            "more than {MAX_BUFFERED} bytes were written before the application has returned; \
                             run it on a thread, or let it return them"
                        )
                    }));
                }
                buffer.extend_from_slice(&piece);
                Ok(truncated)
            }
            _ => Err(io::Error::new(
                io::ErrorKind::BrokenPipe,
                "the response has ended",
            )),
        }
    }

    /// What was written and buffered.
    pub(super) fn take_buffered(&mut self) -> Option<Bytes> {
        match self {
            Self::Buffering { buffer, .. } if !buffer.is_empty() => Some(mem::take(buffer).into()),
            _ => None,
        }
    }

    /// Whether the buffer of a deferred response has room for a piece, or is not used any more.
    pub(super) fn has_room(&self) -> bool {
        !matches!(self, Self::Buffering { buffer, .. } if buffer.len() >= HIGH_MARK)
    }

    /// Whether the head is final, and no body follows it.
    pub(super) fn is_bodiless(&self) -> bool {
        matches!(
            self,
            Self::Buffering {
                head: Some(_),
                has_body: false,
                ..
            }
        )
    }

    /// Whether `write` has sent all bytes of the `Content-Length`.
    pub(super) fn is_complete(&self) -> bool {
        matches!(self, Self::Streaming { budget, .. } if budget.is_complete())
    }

    /// All pieces are written. An error says that the `Content-Length` promises more.
    pub(super) fn finish(&mut self) -> Result<(), String> {
        if let Self::Streaming { budget, .. } = self {
            budget.end()?;
        }
        if let Self::Streaming { writer, .. } = mem::replace(self, Self::Ended) {
            writer.finish();
        }
        Ok(())
    }

    /// Ends the response where it is: a body that is being written breaks off.
    pub(super) fn abort(&mut self) {
        if !matches!(self, Self::Streaming { .. }) {
            // Not replaced: the state is large, and this is the path of most responses.
            *self = Self::Ended;
        } else if let Self::Streaming { writer, .. } = mem::replace(self, Self::Ended) {
            writer.fail("the application did not finish the response".into());
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn head(length: Option<&str>) -> Result<Head, StartError> {
        Head::parse(
            b"200 OK",
            length.map(|length| ("content-length", length)),
            false,
        )
    }

    fn buffering(length: Option<&str>, is_head: bool) -> ResponseState {
        ResponseState::buffering(head(length).unwrap(), is_head)
    }

    #[test]
    fn only_the_first_start_counts_also_when_it_fails() {
        let mut state = ResponseState::new();
        let failed = Head::parse(b"no status", [("x", "y")], false);
        assert!(matches!(state.start(failed), Err(StartError::Status(_))));
        assert_eq!(state.start(head(None)), Err(StartError::CalledTwice));
        assert!(matches!(state.begin(false), Beginning::NotStarted));
        assert_eq!(state.restart(head(None)), Ok(true));
        assert!(matches!(state.begin(false), Beginning::Head { .. }));
        assert_eq!(state.restart(head(None)), Ok(false), "it is sent");
    }

    #[test]
    fn a_failed_start_leaves_nothing_to_write_to() {
        let mut state = ResponseState::new();
        state.start(head(None)).unwrap();
        state.refuse();
        let error = state.take_head_to_write().unwrap_err();
        assert!(error.to_string().contains("start_response has failed"));
        state.restart(head(None)).unwrap();
        assert!(state.take_head_to_write().unwrap().is_some());
    }

    #[test]
    fn what_is_buffered_is_within_the_length_and_the_limit() {
        let mut state = buffering(Some("3"), false);
        assert_eq!(state.buffer(Bytes::from("ab"), false).unwrap(), None);
        assert_eq!(
            state.buffer(Bytes::from("cd"), false).unwrap(),
            Some(Truncated)
        );
        assert_eq!(state.take_buffered().unwrap(), "abc");
        assert!(state.take_buffered().is_none());

        let mut state = buffering(None, false);
        state.buffer(vec![0; MAX_BUFFERED].into(), false).unwrap();
        assert!(state.buffer(Bytes::from("x"), false).is_err());

        let mut state = buffering(None, true);
        assert_eq!(state.buffer(Bytes::from("ab"), false).unwrap(), None);
        assert!(state.take_buffered().is_none(), "a HEAD has no body");
    }

    #[test]
    fn nothing_is_written_after_the_end() {
        let mut state = buffering(None, false);
        state.finish().unwrap();
        let error = state.buffer(Bytes::from("x"), false).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
        assert!(state.take_head_to_write().unwrap().is_none());
        assert!(matches!(state.begin(false), Beginning::NotStarted));
    }
}
