//! Version 1: a line of text.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use super::{
    ProxyHeader,
    header::{HeaderState, Malformed},
};

const BEGIN: &[u8] = b"PROXY ";
const UNKNOWN: &[u8] = b"PROXY UNKNOWN";

/// The shortest line: `PROXY UNKNOWN` and its end.
const SHORTEST: usize = 15;

/// The longest one, with its end.
const LONGEST: usize = 107;

/// The spaces of a line with addresses.
const SPACES: usize = 5;

const NO_HEADER: Malformed = "the connection does not begin with a header of the PROXY protocol";
const MALFORMED: Malformed = "the line of the PROXY protocol is malformed";
const TOO_LONG: Malformed = "the line of the PROXY protocol has more than 107 bytes";

pub(super) fn progress(bytes: &[u8]) -> Result<HeaderState, Malformed> {
    let begin = bytes.len().min(BEGIN.len());
    if bytes[..begin] != BEGIN[..begin] {
        return Err(NO_HEADER);
    }
    if let Some(line) = bytes.strip_suffix(b"\r\n") {
        let header = parse(line).ok_or(MALFORMED)?;
        return Ok(HeaderState::Known { header, skip: 0 });
    }
    let body = bytes.strip_suffix(b"\r").unwrap_or(bytes);
    if !body.iter().all(|byte| (b' '..=b'~').contains(byte)) {
        return Err(MALFORMED);
    }
    let missing = missing(bytes);
    if bytes.len() + missing > LONGEST {
        return Err(TOO_LONG);
    }
    Ok(HeaderState::Missing(missing))
}

/// The bytes that are missing at least: they can be read without a byte of what follows the line.
fn missing(bytes: &[u8]) -> usize {
    if bytes.len() < SHORTEST {
        return SHORTEST - bytes.len();
    }
    let end = if bytes.ends_with(b"\r") { 1 } else { 2 };
    if bytes.starts_with(UNKNOWN) {
        return end;
    }
    let spaces = bytes.iter().filter(|byte| **byte == b' ').count();
    // Each with a field of one byte at least.
    2 * SPACES.saturating_sub(spaces) + end
}

fn parse(line: &[u8]) -> Option<ProxyHeader> {
    let line = str::from_utf8(line).ok()?;
    let mut fields = line.strip_prefix("PROXY ")?.split(' ');
    let family = fields.next()?;
    if family == "UNKNOWN" {
        return Some(ProxyHeader::Local);
    }
    let ip = |text: &str| -> Option<IpAddr> {
        match family {
            "TCP4" => text.parse::<Ipv4Addr>().ok().map(IpAddr::V4),
            "TCP6" => text.parse::<Ipv6Addr>().ok().map(IpAddr::V6),
            _ => None,
        }
    };
    let (source, destination) = (ip(fields.next()?)?, ip(fields.next()?)?);
    let (source_port, destination_port) = (port(fields.next()?)?, port(fields.next()?)?);
    let address = |ip: IpAddr, port| SocketAddr::new(ip.to_canonical(), port);
    let header = ProxyHeader::Client {
        source: address(source, source_port),
        destination: address(destination, destination_port),
    };
    fields.next().is_none().then_some(header)
}

/// `u16` would also take a sign.
fn port(text: &str) -> Option<u16> {
    let is_number = text.len() <= 5 && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| is_number)
}
