//! The reason why a socket was closed: a status code and a text.

use std::borrow::Cow;

use tokio_tungstenite::tungstenite::{
    error::{CapacityError, Error as FrameError, ProtocolError},
    protocol::CloseFrame,
};

/// The longest text: the payload of a control frame has at most 125 bytes, two of which are the code.
const MAX_TEXT: usize = 123;

/// Why a socket was closed (RFC 6455 section 7.4).
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct CloseReason {
    pub(super) code: u16,
    pub(super) text: Cow<'static, str>,
}

impl CloseReason {
    /// The client sent no code.
    pub(super) const NO_STATUS: Self = Self::of(1005, "");
    /// The connection ended without a close frame.
    pub(super) const ABNORMAL: Self = Self::of(1006, "");
    /// The handler raised an exception.
    pub(super) const HANDLER_FAILED: Self = Self::of(1011, "the server failed");
    /// The client reads more slowly than messages are written to it.
    pub(super) const SLOW_READER: Self = Self::of(1013, "too many messages wait for the client");

    const fn of(code: u16, text: &'static str) -> Self {
        Self {
            code,
            text: Cow::Borrowed(text),
        }
    }

    /// A reason that an application gives. An error says which values are possible.
    pub(super) fn new(code: u16, text: String) -> Result<Self, String> {
        if !matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999) {
            return Err(format!(
                "a WebSocket cannot be closed with the code {code}: use 1000 to 1003, 1007 to 1014, or a code of the \
                 application from 3000 to 4999"
            ));
        }
        if text.len() > MAX_TEXT {
            return Err(format!(
                "the reason for closing a WebSocket has at most {MAX_TEXT} bytes in UTF-8; this one has {}",
                text.len()
            ));
        }
        Ok(Self {
            code,
            text: text.into(),
        })
    }

    /// The reason for a frame that RFC 6455 forbids; `None` if the connection is broken, so that no reason can be sent.
    pub(super) fn of_frame_error(error: &FrameError) -> Option<Self> {
        let (code, text) = match error {
            FrameError::Protocol(ProtocolError::ResetWithoutClosingHandshake) => return None,
            FrameError::Capacity(CapacityError::MessageTooLong { max_size, .. }) => {
                let text = format!("a message has at most {max_size} bytes");
                return Some(Self {
                    code: 1009,
                    text: text.into(),
                });
            }
            FrameError::Utf8(_) => (1007, "the text is not UTF-8"),
            FrameError::Protocol(ProtocolError::UnmaskedFrameFromClient) => {
                (1002, "the frame is not masked")
            }
            FrameError::Protocol(_) => (1002, "the frame is not valid"),
            _ => return None,
        };
        Some(Self::of(code, text))
    }

    pub(super) fn to_frame(&self) -> CloseFrame {
        CloseFrame {
            code: self.code.into(),
            reason: (&*self.text).into(),
        }
    }
}

impl From<Option<CloseFrame>> for CloseReason {
    fn from(frame: Option<CloseFrame>) -> Self {
        frame.map_or(Self::NO_STATUS, |frame| Self {
            code: frame.code.into(),
            text: frame.reason.as_str().to_owned().into(),
        })
    }
}
