use http::HeaderValue;

/// The user of basic authentication (RFC 7617), from the field `authorization`.
pub(super) fn user(authorization: &HeaderValue) -> Option<Vec<u8>> {
    let value = authorization.as_bytes();
    let (scheme, credentials) = value.split_at_checked(6)?;
    if !scheme.eq_ignore_ascii_case(b"basic ") {
        return None;
    }
    let mut user = base64(credentials.trim_ascii())?;
    let end = user.iter().position(|&byte| byte == b':')?;
    user.truncate(end);
    (!user.is_empty()).then_some(user)
}

/// Decodes base64 (RFC 4648 section 4), be it padded or not.
fn base64(text: &[u8]) -> Option<Vec<u8>> {
    let digits = text.strip_suffix(b"==").or_else(|| text.strip_suffix(b"="));
    let digits = digits.unwrap_or(text);
    let mut bytes = Vec::with_capacity(digits.len() / 4 * 3 + 2);
    for group in digits.chunks(4) {
        let mut bits = 0;
        for &digit in group {
            let value = match digit {
                b'A'..=b'Z' => digit - b'A',
                b'a'..=b'z' => digit - b'a' + 26,
                b'0'..=b'9' => digit - b'0' + 52,
                b'+' => 62,
                b'/' => 63,
                _ => return None,
            };
            bits = bits << 6 | u32::from(value);
        }
        let missing = 4 - group.len();
        let [_, group_bytes @ ..] = (bits << (6 * missing)).to_be_bytes();
        // One digit alone is not a byte.
        bytes.extend_from_slice(
            group_bytes
                .get(..3 - missing)
                .filter(|some| !some.is_empty())?,
        );
    }
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(authorization: &str) -> Option<String> {
        let value = HeaderValue::from_str(authorization).unwrap();
        user(&value).map(|user| String::from_utf8_lossy(&user).into_owned())
    }

    #[test]
    fn the_user_without_the_password() {
        // ann:secret, bo:x, a:b:c, é:x, 16 different digits, each with `printf %s … | base64`.
        assert_eq!(of("Basic YW5uOnNlY3JldA==").unwrap(), "ann");
        assert_eq!(of("basic  Ym86eA== ").unwrap(), "bo");
        assert_eq!(of("Basic Ym86eA").unwrap(), "bo");
        assert_eq!(of("Basic YTpiOmM=").unwrap(), "a");
        assert_eq!(of("Basic w6k6eA==").unwrap(), "é");
        assert_eq!(of("Basic Pz8/Pj4+OjA5").unwrap(), "???>>>");
    }

    #[test]
    fn what_is_none() {
        for value in [
            "",
            "Basic",
            "Basic ",
            "Basic !",
            "Basic YW5u",
            "Basic Y",
            "Basic OnNlY3JldA==",
            "Basic YW5u OnNlY3JldA==",
            "Bearer YW5uOnNlY3JldA==",
            "é Basic",
        ] {
            assert_eq!(of(value), None, "{value}");
        }
    }
}
