//! The grammar of `uri-host [ ":" port ]` (RFC 9110 section 7.2, RFC 3986 section 3.2.2).

use std::net::Ipv6Addr;

/// Whether `value` names a host, with or without a port. An empty host is none (RFC 9110 section 4.2.1).
pub(crate) fn is_valid(value: &[u8]) -> bool {
    if let Some(literal) = value.strip_prefix(b"[") {
        let Some(end) = literal.iter().position(|byte| *byte == b']') else {
            return false;
        };
        let (address, rest) = (&literal[..end], &literal[end + 1..]);
        return is_ip_literal(address) && (rest.is_empty() || is_port(rest));
    }
    let end = end_of_name(value);
    let (name, rest) = value.split_at(end);
    !name.is_empty() && (rest.is_empty() || is_port(rest))
}

/// Where the registered name that `value` begins with ends; an IPv4 address is one, too.
fn end_of_name(value: &[u8]) -> usize {
    let is_in_name = |byte: &&u8| IN_NAME[usize::from(**byte)];
    let mut end = 0;
    loop {
        end += value[end..].iter().take_while(is_in_name).count();
        if !is_escaped(&value[end..]) {
            return end;
        }
        end += 3;
    }
}

fn is_escaped(value: &[u8]) -> bool {
    matches!(value, [b'%', high, low, ..] if high.is_ascii_hexdigit() && low.is_ascii_hexdigit())
}

/// What may stand between the brackets: an IPv6 address, or the form kept for later versions.
fn is_ip_literal(address: &[u8]) -> bool {
    if let [b'v' | b'V', rest @ ..] = address {
        let mut parts = rest.splitn(2, |byte| *byte == b'.');
        let version = parts.next().unwrap_or_default();
        let rest = parts.next().unwrap_or_default();
        return !version.is_empty()
            && version.iter().all(u8::is_ascii_hexdigit)
            && !rest.is_empty()
            && rest
                .iter()
                .all(|byte| *byte == b':' || IN_NAME[*byte as usize]);
    }
    str::from_utf8(address).is_ok_and(|address| address.parse::<Ipv6Addr>().is_ok())
}

/// A colon and a port number, which may be left out.
fn is_port(port: &[u8]) -> bool {
    let Some(digits) = port.strip_prefix(b":") else {
        return false;
    };
    let mut number: u32 = 0;
    digits.iter().all(|digit| {
        number = (number * 10).saturating_add(u32::from(digit.wrapping_sub(b'0')));
        digit.is_ascii_digit() && number <= u32::from(u16::MAX)
    })
}

/// The unreserved characters and the delimiters of RFC 3986 section 2, which stand for themselves.
const IN_NAME: [bool; 256] = {
    let mut table = [false; 256];
    let mut byte = 0_u8;
    while byte < 128 {
        table[byte as usize] = byte.is_ascii_alphanumeric()
            || matches!(byte, b'-' | b'.' | b'_' | b'~')
            || matches!(
                byte,
                b'!' | b'$' | b'&' | b'\'' | b'(' | b')' | b'*' | b'+' | b',' | b';' | b'='
            );
        byte += 1;
    }
    table
};

#[cfg(test)]
mod tests {
    use super::is_valid;

    #[test]
    fn accepts_what_the_grammar_has() {
        for host in [
            "example.org",
            "example.org:80",
            "example.org:",
            "a_b-c~d",
            "127.0.0.1:8000",
            "[::1]",
            "[::1]:8000",
            "[::ffff:127.0.0.1]",
            "[v7.a:b]",
            "caf%C3%A9",
            "a.b:00080",
            "x!$&'()*+,;=y",
            "localhost:65535",
        ] {
            assert!(is_valid(host.as_bytes()), "{host}");
        }
    }

    #[test]
    fn refuses_what_it_has_not() {
        for host in [
            "",
            ":80",
            " ",
            "a b",
            "a, b",
            "a/b",
            "a?b",
            "a#b",
            "user@a",
            "user:pass@a",
            "a:b",
            "a:80:80",
            "a:-1",
            "a:+1",
            "a:65536",
            "a:4294967296",
            "a:18446744073709551696",
            "[::1",
            "::1",
            "[::1]x",
            "[::1]80",
            "[127.0.0.1]",
            "[]",
            "[fe80::1%eth0]",
            "[v.a]",
            "[v7.]",
            "a%",
            "a%4",
            "a%zz",
            "a\\b",
            "a\"b",
            "<a>",
            "a\u{e9}b",
            "a\tb",
        ] {
            assert!(!is_valid(host.as_bytes()), "{host}");
        }
    }
}
