//! Version 2: binary.

use std::net::{IpAddr, SocketAddr};

use super::{
    ProxyHeader,
    header::{HeaderState, Malformed},
};

pub(super) const SIGNATURE: &[u8] = b"\r\n\r\n\0\r\nQUIT\n";

/// The bytes before the addresses.
const FIXED: usize = 16;

/// The most bytes behind the fixed ones.
const MAX_LENGTH: usize = 4096;

const NO_HEADER: Malformed = "the connection does not begin with a header of the PROXY protocol";
const UNKNOWN: Malformed =
    "the header of the PROXY protocol has a version, a command or a family that is not known";
const TOO_SHORT: Malformed = "the header of the PROXY protocol is too short for its addresses";
const TOO_LONG: Malformed = "the header of the PROXY protocol has more than 4 KiB";

pub(super) fn progress(bytes: &[u8]) -> Result<HeaderState, Malformed> {
    let begin = bytes.len().min(SIGNATURE.len());
    if bytes[..begin] != SIGNATURE[..begin] {
        return Err(NO_HEADER);
    }
    let Some((fixed, rest)) = bytes.split_at_checked(FIXED) else {
        return Ok(HeaderState::Missing(FIXED - bytes.len()));
    };
    let length = usize::from(u16::from_be_bytes([fixed[14], fixed[15]]));
    if length > MAX_LENGTH {
        return Err(TOO_LONG);
    }
    // Families: none, IPv4, IPv6, Unix. Protocols: none, a stream, datagrams, which no connection has.
    let (family, protocol) = (fixed[13] >> 4, fixed[13] & 0xf);
    if family > 3 || protocol > 2 {
        return Err(UNKNOWN);
    }
    let address_length = match (fixed[12], family, protocol) {
        (0x20, ..) | (0x21, 0 | 3, _) | (0x21, _, 0) => 0,
        (0x21, 1, 1) => 12,
        (0x21, 2, 1) => 36,
        _ => return Err(UNKNOWN),
    };
    if length < address_length {
        return Err(TOO_SHORT);
    }
    if rest.len() < address_length {
        return Ok(HeaderState::Missing(address_length - rest.len()));
    }
    let header = match address_length {
        12 => client::<4>(rest),
        36 => client::<16>(rest),
        _ => Some(ProxyHeader::Local),
    };
    Ok(HeaderState::Known {
        header: header.ok_or(TOO_SHORT)?,
        skip: length.saturating_sub(rest.len()),
    })
}

/// Two addresses of this size, and two ports.
fn client<const SIZE: usize>(bytes: &[u8]) -> Option<ProxyHeader>
where
    IpAddr: From<[u8; SIZE]>,
{
    let (source, rest) = bytes.split_first_chunk::<SIZE>()?;
    let (destination, rest) = rest.split_first_chunk::<SIZE>()?;
    let (source_port, rest) = rest.split_first_chunk::<2>()?;
    let destination_port = rest.first_chunk::<2>()?;
    let address = |ip: &[u8; SIZE], port: &[u8; 2]| {
        SocketAddr::new(IpAddr::from(*ip).to_canonical(), u16::from_be_bytes(*port))
    };
    Some(ProxyHeader::Client {
        source: address(source, source_port),
        destination: address(destination, destination_port),
    })
}
