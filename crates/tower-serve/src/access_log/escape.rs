//! Escapes text of a client, so that it cannot end its field or its line. The result is at most as long as its limit,
//! but for the last escape and the mark of what was cut off.

const CUT: &[u8] = b"...";

const HEX: &[u8; 16] = b"0123456789abcdef";

/// For a field in quotes of Apache's formats.
pub(super) fn quoted(out: &mut Vec<u8>, bytes: &[u8], limit: usize) {
    if !copied(out, bytes, limit) {
        apache(out, bytes, limit, is_plain);
    }
}

/// For a field of Apache's formats that ends at a space.
pub(super) fn word(out: &mut Vec<u8>, bytes: &[u8], limit: usize) {
    apache(out, bytes, limit, |byte| (byte != b' ') & is_plain(byte));
}

/// For a string of JSON, inside its quotes. Bytes that are not UTF-8 become U+FFFD.
pub(super) fn json(out: &mut Vec<u8>, bytes: &[u8], limit: usize) {
    if copied(out, bytes, limit) {
        return;
    }
    let start = out.len();
    for chunk in bytes.utf8_chunks() {
        let replacement = (!chunk.invalid().is_empty()).then_some(char::REPLACEMENT_CHARACTER);
        for char in chunk.valid().chars().chain(replacement) {
            if out.len() - start >= limit {
                out.extend_from_slice(CUT);
                return;
            }
            match char {
                '"' | '\\' => out.extend_from_slice(&[b'\\', char as u8]),
                // The last two end a line for some readers.
                _ if char.is_control() || matches!(char, '\u{2028}' | '\u{2029}') => {
                    out.extend_from_slice(format!("\\u{:04x}", u32::from(char)).as_bytes());
                }
                _ => out.extend_from_slice(char.encode_utf8(&mut [0; 4]).as_bytes()),
            }
        }
    }
}

fn apache(out: &mut Vec<u8>, bytes: &[u8], limit: usize, is_plain: impl Fn(u8) -> bool) {
    let start = out.len();
    for &byte in bytes {
        if out.len() - start >= limit {
            out.extend_from_slice(CUT);
            return;
        }
        match byte {
            b'"' | b'\\' => out.extend_from_slice(&[b'\\', byte]),
            _ if is_plain(byte) => out.push(byte),
            _ => {
                let (high, low) = (HEX[usize::from(byte >> 4)], HEX[usize::from(byte & 15)]);
                out.extend_from_slice(&[b'\\', b'x', high, low]);
            }
        }
    }
}

/// Copies text that needs no escape and fits, as almost all does.
fn copied(out: &mut Vec<u8>, bytes: &[u8], limit: usize) -> bool {
    let plain = bytes.len() <= limit && are_plain(bytes);
    if plain {
        out.extend_from_slice(bytes);
    }
    plain
}

/// Eight bytes at once: most texts are too short for a vector.
fn are_plain(bytes: &[u8]) -> bool {
    let Some(last) = bytes.last_chunk() else {
        return bytes.iter().all(|&byte| is_plain(byte));
    };
    // The last eight may overlap those before.
    let (chunks, _) = bytes.as_chunks();
    chunks.iter().chain([last]).all(|eight| all_plain(*eight))
}

/// Arithmetic on eight bytes at once. The top bit of a byte is set if it is not plain; a carry starts only at such a byte.
fn all_plain(bytes: [u8; 8]) -> bool {
    const ONES: u64 = u64::from_ne_bytes([1; 8]);
    const TOPS: u64 = ONES << 7;
    let bytes = u64::from_ne_bytes(bytes);
    let equal = |byte: u8| (bytes ^ (ONES * u64::from(byte))).wrapping_sub(ONES);
    let controls = bytes.wrapping_sub(ONES * u64::from(b' '));
    let above = bytes.wrapping_add(ONES);
    (controls | above | bytes | equal(b'"') | equal(b'\\')) & TOPS == 0
}

/// Printable ASCII, but for quotes and backslashes.
fn is_plain(byte: u8) -> bool {
    matches!(byte, b' '..=b'~') & (byte != b'"') & (byte != b'\\')
}

#[cfg(test)]
mod tests {
    use super::*;

    type Escape = fn(&mut Vec<u8>, &[u8], usize);

    fn escaped(escape: Escape, bytes: &[u8], limit: usize) -> String {
        let mut out = Vec::new();
        escape(&mut out, bytes, limit);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn apache_escapes_what_is_not_printable() {
        let bytes = b"a b\"c\\d\r\n\t\x00\x7f\xc3\xa9";
        assert_eq!(
            escaped(quoted, bytes, 100),
            r#"a b\"c\\d\x0d\x0a\x09\x00\x7f\xc3\xa9"#
        );
        assert_eq!(
            escaped(word, bytes, 100),
            r#"a\x20b\"c\\d\x0d\x0a\x09\x00\x7f\xc3\xa9"#
        );
    }

    #[test]
    fn every_byte_stays_on_its_line_and_in_its_field() {
        for first in 0..=255_u8 {
            for second in 0..=255_u8 {
                let bytes = [first, second];
                for escape in [quoted as Escape, word, json] {
                    let text = escaped(escape, &bytes, 100);
                    assert!(!text.chars().any(char::is_control), "{bytes:?}");
                    // No quote ends the field: each is behind a backslash of its own.
                    let mut chars = text.chars();
                    while let Some(char) = chars.next() {
                        assert_ne!(char, '"', "{bytes:?}");
                        assert!(char != '\\' || chars.next().is_some(), "{bytes:?}");
                    }
                }
                assert!(!escaped(word, &bytes, 100).contains(' '));
            }
        }
    }

    #[test]
    fn a_byte_is_seen_wherever_it_is() {
        for byte in 0..=255 {
            for length in 1..=17 {
                for place in 0..length {
                    let mut bytes = vec![b'a'; length];
                    bytes[place] = byte;
                    let copied = copied(&mut Vec::new(), &bytes, length);
                    assert_eq!(copied, is_plain(byte), "{byte} at {place} of {length}");
                }
            }
        }
    }

    #[test]
    fn json_is_what_a_parser_reads_back() {
        let tricky = "\"\\\u{0}\u{1f}\u{7f}\u{9b}\u{2028}\u{2029}é\u{1f600}\r\n";
        let text = format!("\"{}\"", escaped(json, tricky.as_bytes(), 100));
        assert_eq!(serde_json::from_str::<String>(&text).unwrap(), tricky);
        assert!(!text.contains(['\u{9b}', '\u{2028}', '\u{2029}']));
        assert_eq!(
            escaped(json, b"a\xffb\xe2\x82", 100),
            "a\u{fffd}b\u{fffd}",
            "what is no UTF-8"
        );
    }

    #[test]
    fn what_is_too_long_is_cut_between_two_escapes() {
        for escape in [quoted as Escape, word, json] {
            assert_eq!(escaped(escape, b"12345", 5), "12345");
            assert_eq!(escaped(escape, b"123456", 5), "12345...");
            assert_eq!(escaped(escape, b"1234\"56", 5), "1234\\\"...");
        }
        assert_eq!(escaped(quoted, b"1234\x005", 5), "1234\\x00...");
        assert_eq!(escaped(json, b"1234\x005", 5), "1234\\u0000...");
    }
}
