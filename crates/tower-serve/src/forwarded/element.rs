//! One element of the field `Forwarded` (RFC 7239 section 4).

use std::borrow::Cow;

/// The parameters of an element that are of use.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct ForwardedElement<'a> {
    pub(super) node: Option<Cow<'a, [u8]>>,
    pub(super) proto: Option<Cow<'a, [u8]>>,
    pub(super) host: Option<Cow<'a, [u8]>>,
}

impl<'a> ForwardedElement<'a> {
    /// `None` if the element is malformed: something that is no pair, or a parameter twice.
    pub(super) fn parse(mut text: &'a [u8]) -> Option<Self> {
        let mut element = Self::default();
        loop {
            text = text.trim_ascii_start();
            if let Some(rest) = text.strip_prefix(b";") {
                text = rest;
                continue;
            }
            if text.is_empty() {
                return Some(element);
            }
            let end = text.iter().position(|byte| !is_token(*byte))?;
            let (name, rest) = text.split_at(end);
            if name.is_empty() {
                return None;
            }
            let (value, rest) = value(rest.strip_prefix(b"=")?)?;
            let slot = if name.eq_ignore_ascii_case(b"for") {
                Some(&mut element.node)
            } else if name.eq_ignore_ascii_case(b"proto") {
                Some(&mut element.proto)
            } else if name.eq_ignore_ascii_case(b"host") {
                Some(&mut element.host)
            } else {
                None
            };
            if let Some(slot) = slot
                && slot.replace(value).is_some()
            {
                return None;
            }
            text = rest.trim_ascii_start();
            if !text.is_empty() && !text.starts_with(b";") {
                return None;
            }
        }
    }
}

/// A value, and what follows it.
///
/// Outside of quotes, some proxies write addresses with colons and brackets, which are none of a token's characters.
fn value(text: &[u8]) -> Option<(Cow<'_, [u8]>, &[u8])> {
    let Some(quoted) = text.strip_prefix(b"\"") else {
        let is_value = |byte: u8| is_token(byte) || b":[]".contains(&byte);
        let end = text.iter().position(|byte| !is_value(*byte));
        let (value, rest) = text.split_at(end.unwrap_or(text.len()));
        return (!value.is_empty()).then_some((value.into(), rest));
    };
    let mut value = Vec::new();
    let mut bytes = quoted.iter().enumerate();
    while let Some((index, byte)) = bytes.next() {
        match byte {
            b'"' => return Some((value.into(), &quoted[index + 1..])),
            b'\\' => value.push(*bytes.next()?.1),
            byte => value.push(*byte),
        }
    }
    None
}

/// RFC 9110 section 5.6.2.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Option<[Option<String>; 3]> {
        let ForwardedElement { node, proto, host } = ForwardedElement::parse(text.as_bytes())?;
        Some([node, proto, host].map(|it| it.map(|it| String::from_utf8_lossy(&it).into_owned())))
    }

    #[test]
    fn pairs_in_any_order_and_case() {
        let all = [
            Some("192.0.2.7".into()),
            Some("https".into()),
            Some("a.example".into()),
        ];
        for text in [
            "for=192.0.2.7;proto=https;host=a.example",
            "HOST=a.example; For=192.0.2.7 ;;Proto=https;by=_x;secret=\"y\"",
            r#"for="192.0.2.7";proto="ht\tps";host=a.example"#,
        ] {
            assert_eq!(parse(text), Some(all.clone()), "{text}");
        }
        let v6 = Some([Some("[2001:db8::7]:80".into()), None, None]);
        assert_eq!(parse(r#"for="[2001:db8::7]:80""#), v6);
        assert_eq!(parse("for=[2001:db8::7]:80"), v6);
        assert_eq!(parse(";"), Some([None, None, None]));
    }

    #[test]
    fn malformed_elements() {
        for text in [
            "for",
            "for=",
            "=x",
            "192.0.2.7",
            "for =x",
            "for= x",
            "for=\"x",
            "for=\"x\\",
            "for=\"x\"y",
            "for=x y",
            "for=x;for=y",
            "proto=http;PROTO=https",
            "for=x,y",
        ] {
            assert_eq!(parse(text), None, "{text}");
        }
    }
}
