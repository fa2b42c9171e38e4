//! The elements of a list field, from the last one on: a client can only add to the beginning of what a proxy writes.

use http::{HeaderMap, HeaderName};

/// The elements of all fields with this name, the last one first, without the space around them. Of one that is empty nothing
/// is left.
///
/// A comma between quotes is no separator. As the elements of the trusted proxies are the last ones and well-formed, nothing
/// that a client has sent before them changes where they begin.
pub(super) fn last_first<'a>(
    headers: &'a HeaderMap,
    name: &'a HeaderName,
) -> impl Iterator<Item = &'a [u8]> {
    let values = headers.get_all(name).iter().rev();
    values.flat_map(|value| Elements(Some(value.as_bytes())))
}

/// The elements of one field that are left.
struct Elements<'a>(Option<&'a [u8]>);

impl<'a> Iterator for Elements<'a> {
    type Item = &'a [u8];

    fn next(&mut self) -> Option<&'a [u8]> {
        let rest = self.0?;
        let element = match last_comma(rest) {
            Some(comma) => {
                self.0 = Some(&rest[..comma]);
                &rest[comma + 1..]
            }
            None => {
                self.0 = None;
                rest
            }
        };
        Some(element.trim_ascii())
    }
}

/// The last comma that is not between quotes.
fn last_comma(value: &[u8]) -> Option<usize> {
    let mut is_quoted = false;
    for (index, byte) in value.iter().enumerate().rev() {
        match byte {
            b',' if !is_quoted => return Some(index),
            b'"' => is_quoted = !is_quoted || is_escaped(value, index),
            _ => {}
        }
    }
    None
}

/// Whether a quote between quotes belongs to the text: an odd number of backslashes stands before it.
fn is_escaped(value: &[u8], quote: usize) -> bool {
    let before = value[..quote].iter().rev();
    before.take_while(|byte| **byte == b'\\').count() % 2 == 1
}

#[cfg(test)]
mod tests {
    use http::{HeaderValue, header::FORWARDED};

    use super::*;

    fn elements(values: &[&str]) -> Vec<String> {
        let mut headers = HeaderMap::new();
        for value in values {
            headers.append(FORWARDED, HeaderValue::from_str(value).unwrap());
        }
        let elements = last_first(&headers, &FORWARDED);
        elements
            .map(|element| String::from_utf8_lossy(element).into_owned())
            .collect()
    }

    #[test]
    fn the_last_element_of_the_last_field_comes_first() {
        assert_eq!(elements(&["a, b", "c"]), ["c", "b", "a"]);
        assert_eq!(elements(&["a,\t ,b ,"]), ["", "b", "", "a"]);
        assert_eq!(elements(&[""]), [""]);
        assert!(elements(&[]).is_empty());
    }

    #[test]
    fn a_comma_between_quotes_is_text() {
        assert_eq!(elements(&[r#"a="x,y", b"#]), ["b", r#"a="x,y""#]);
        assert_eq!(
            elements(&[r#"a="x\",y", b="\\""#]),
            [r#"b="\\""#, r#"a="x\",y""#]
        );
    }

    #[test]
    fn a_quote_that_a_client_has_left_open_does_not_hide_what_follows() {
        assert_eq!(elements(&[r#"for="x, for=y"#])[0], "for=y");
        assert_eq!(elements(&[r#"for="x"#, "for=y"])[0], "for=y");
        assert_eq!(
            elements(&[r#"for="\"#, r#"for="[::1]""#])[0],
            r#"for="[::1]""#
        );
        assert_eq!(elements(&[r#"for=\", for="[::1]""#])[0], r#"for="[::1]""#);
    }
}
