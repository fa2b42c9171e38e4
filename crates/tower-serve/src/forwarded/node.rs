//! How a proxy names a node: an address, with or without a port (RFC 7239 section 6).

use std::net::{IpAddr, Ipv6Addr};

use tower_server_info::ClientAddress;

/// The longest address with a port has 47 bytes: `[…:255.255.255.255]:65535`.
const LONGEST: usize = 64;

/// The address of a node. `None` for one without: `unknown`, an obfuscated identifier such as `_proxy`, and anything else.
///
/// An IPv6 address may stand without brackets, as in `X-Forwarded-For`. The port may be obfuscated, which is as none.
pub(super) fn parse(node: &[u8]) -> Option<ClientAddress> {
    if node.len() > LONGEST {
        return None;
    }
    let node = str::from_utf8(node).ok()?;
    if let Some(literal) = node.strip_prefix('[') {
        let (ip, port) = literal.split_once(']')?;
        let ip: Ipv6Addr = ip.parse().ok()?;
        let port = match port.strip_prefix(':') {
            Some(port) => parse_port(port)?,
            None if port.is_empty() => None,
            None => return None,
        };
        return Some(address(ip.into(), port));
    }
    if let Ok(ip) = node.parse() {
        return Some(address(ip, None));
    }
    let (ip, port) = node.split_once(':')?;
    let ip = IpAddr::V4(ip.parse().ok()?);
    Some(address(ip, parse_port(port)?))
}

fn address(ip: IpAddr, port: Option<u16>) -> ClientAddress {
    ClientAddress {
        ip: ip.to_canonical(),
        port,
    }
}

/// A port, or an obfuscated one, which is not known. `None` for anything else.
fn parse_port(port: &str) -> Option<Option<u16>> {
    if let Some(obfuscated) = port.strip_prefix('_') {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
        return (!obfuscated.is_empty() && obfuscated.bytes().all(is_allowed)).then_some(None);
    }
    number(port).map(Some)
}

/// A port in digits alone; `u16` would also take a sign.
pub(super) fn number(port: &str) -> Option<u16> {
    let is_number = port.bytes().all(|byte| byte.is_ascii_digit());
    port.parse().ok().filter(|_| is_number)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses() {
        for (node, ip, port) in [
            ("192.0.2.7", "192.0.2.7", None),
            ("192.0.2.7:4711", "192.0.2.7", Some(4711)),
            ("192.0.2.7:_x", "192.0.2.7", None),
            ("2001:db8::7", "2001:db8::7", None),
            ("[2001:db8::7]", "2001:db8::7", None),
            ("[2001:db8::7]:80", "2001:db8::7", Some(80)),
            ("[2001:db8::7]:_gazonk", "2001:db8::7", None),
            ("::ffff:192.0.2.7", "192.0.2.7", None),
            ("[::ffff:192.0.2.7]:1", "192.0.2.7", Some(1)),
        ] {
            let address = parse(node.as_bytes()).unwrap();
            assert_eq!(address.ip.to_string(), ip, "{node}");
            assert_eq!(address.port, port, "{node}");
        }
    }

    #[test]
    fn everything_else_is_none() {
        for node in [
            "",
            "unknown",
            "_hidden",
            "localhost",
            "192.0.2",
            "192.0.2.256",
            "192.0.2.07",
            "3221225991",
            "0x7f.0.0.1",
            "192.0.2.7:",
            "192.0.2.7:80:80",
            "192.0.2.7:65536",
            "192.0.2.7:-1",
            "192.0.2.7:+1",
            "192.0.2.7:_",
            "192.0.2.7:_a b",
            "[192.0.2.7]",
            "[::1",
            "[::1]80",
            "[::1]:",
            "::1]",
            "fe80::1%eth0",
            "\"192.0.2.7\"",
            "192.0.2.7 ",
            "192.0.2.7\t8",
            "\u{ff11}92.0.2.7",
        ] {
            assert_eq!(parse(node.as_bytes()), None, "{node}");
        }
        assert_eq!(parse(&[b'1'; 1 << 16]), None);
        assert_eq!(parse(b"192.0.2.7\xff"), None);
    }
}
