//! The lines before the chunks of a request body, which hyper takes too leniently.

/// The lines before the chunks of a body (RFC 9112 section 7.1): hyper decodes the body and lets through what is no line of the
/// grammar, such as `5;` or a NUL in an extension. Only lines are looked at; what is in the chunks is skipped.
#[derive(Debug, Default)]
pub(super) struct ChunkLines {
    line: Vec<u8>,
    /// Of the chunk and the end of its last line.
    skip: u64,
    ended: bool,
}

/// More is refused by hyper.
const LONGEST: usize = 16 << 10;

impl ChunkLines {
    /// Says whether all lines are valid so far.
    pub(super) fn read(&mut self, mut bytes: &[u8]) -> bool {
        while !self.ended && !bytes.is_empty() {
            let skipped = self.skip.min(bytes.len() as u64);
            self.skip -= skipped;
            // No more than there are.
            bytes = &bytes[usize::try_from(skipped).unwrap_or(bytes.len())..];
            let end = bytes.iter().position(|byte| *byte == b'\n');
            self.line
                .extend_from_slice(&bytes[..end.unwrap_or(bytes.len())]);
            if self.line.len() > LONGEST {
                self.ended = true;
            }
            let Some(end) = end else {
                return true;
            };
            bytes = &bytes[end + 1..];
            let line = self.line.strip_suffix(b"\r").unwrap_or(&self.line);
            let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit());
            let (size, extensions) = line.split_at(digits.count());
            if !are_extensions(extensions) {
                return false;
            }
            let size = str::from_utf8(size).ok();
            let size = size.and_then(|size| u64::from_str_radix(size, 16).ok());
            self.line.clear();
            match size.unwrap_or(0).checked_add(2) {
                Some(2) | None => self.ended = true,
                Some(skip) => self.skip = skip,
            }
        }
        true
    }
}

/// `*( BWS ";" BWS name [ BWS "=" BWS value ] )`
fn are_extensions(mut rest: &[u8]) -> bool {
    while !rest.is_empty() {
        let Some(extension) = rest.trim_ascii_start().strip_prefix(b";") else {
            return false;
        };
        let Some(after) = token(extension.trim_ascii_start()) else {
            return false;
        };
        rest = after;
        if let Some(value) = rest.trim_ascii_start().strip_prefix(b"=") {
            let value = value.trim_ascii_start();
            let Some(after) = quoted(value).or_else(|| token(value)) else {
                return false;
            };
            rest = after;
        }
    }
    true
}

/// What follows a token.
fn token(text: &[u8]) -> Option<&[u8]> {
    let is_in = |byte: &&u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(byte);
    let length = text.iter().take_while(is_in).count();
    (length > 0).then(|| &text[length..])
}

/// What follows a quoted string.
fn quoted(text: &[u8]) -> Option<&[u8]> {
    let mut rest = text.strip_prefix(b"\"")?;
    loop {
        rest = match rest {
            [b'"', rest @ ..] => return Some(rest),
            [b'\\', b'\t' | b' '..=b'~' | 0x80.., rest @ ..]
            | [
                b'\t' | b' ' | b'!' | b'#'..=b'[' | b']'..=b'~' | 0x80..,
                rest @ ..,
            ] => rest,
            _ => return None,
        };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_grammar_in_any_pieces_and_no_others() {
        let valid = [
            "5",
            "05",
            "5;a",
            "5;a=b",
            "5;a=\"b \\\" c\"",
            "5 ; a = b;c",
            "5;a;b=\"\"",
        ];
        let invalid = [
            "5;", "5 ", "5;a\0", "5;bad[=x", "5;a=", "5;=b", "5;a=\"b", "5;a b",
        ];
        for (lines, are_valid) in [(&valid[..], true), (&invalid[..], false)] {
            for line in lines {
                let body = format!("{line}\r\n5;\r\nx\r\n{line}\r\n;;;;;\r\n0\r\n\r\nGET ;\n");
                for piece in 1..body.len() {
                    let mut read = ChunkLines::default();
                    let mut pieces = body.as_bytes().chunks(piece);
                    assert_eq!(pieces.all(|piece| read.read(piece)), are_valid, "{line:?}");
                    assert_eq!(read.ended, are_valid);
                }
            }
        }
        for whole in ["ffffffffffffffff\r\n", "fffffffffffffffff\r\n", "x\r\n"] {
            let mut read = ChunkLines::default();
            assert_eq!(read.read(whole.as_bytes()), whole != "x\r\n");
        }
    }
}
