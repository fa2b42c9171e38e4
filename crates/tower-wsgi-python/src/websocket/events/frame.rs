//! The frames that the server sends: each is made once, and shared by all sockets that it is sent to.

use bytes::{BufMut as _, Bytes, BytesMut};

/// What a frame contains (RFC 6455 section 11.8).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Opcode {
    Text = 1,
    Binary = 2,
    Close = 8,
    Ping = 9,
    Pong = 10,
}

/// The longest payload of a control frame.
pub(super) const MAX_CONTROL: usize = 125;

/// A whole message as one frame: the header and the payload. A server does not mask.
pub(super) fn frame(opcode: Opcode, payload: &[u8]) -> Bytes {
    let length = payload.len();
    let mut frame = BytesMut::with_capacity(10 + length);
    frame.put_u8(0x80 | opcode as u8);
    match (u8::try_from(length), u16::try_from(length)) {
        (Ok(short @ ..=125), _) => frame.put_u8(short),
        (_, Ok(medium)) => {
            frame.put_u8(126);
            frame.put_u16(medium);
        }
        _ => {
            frame.put_u8(127);
            frame.put_u64(length as u64);
        }
    }
    frame.put_slice(payload);
    frame.freeze()
}

/// A close frame.
pub(super) fn close_frame(code: u16, text: &str) -> Bytes {
    frame(
        Opcode::Close,
        &[&code.to_be_bytes(), text.as_bytes()].concat(),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_length_has_one_two_or_eight_bytes() {
        for (length, header) in [
            (0, &b"\x82\x00"[..]),
            (125, b"\x82\x7d"),
            (126, b"\x82\x7e\x00\x7e"),
            (65535, b"\x82\x7e\xff\xff"),
            (65536, b"\x82\x7f\x00\x00\x00\x00\x00\x01\x00\x00"),
        ] {
            let payload = vec![7; length];
            let frame = frame(Opcode::Binary, &payload);
            assert_eq!(frame[..header.len()], *header, "{length}");
            assert_eq!(frame[header.len()..], payload, "{length}");
        }
        assert_eq!(frame(Opcode::Text, b"hi")[..], *b"\x81\x02hi");
        assert_eq!(close_frame(1001, "bye")[..], *b"\x88\x05\x03\xe9bye");
    }
}
