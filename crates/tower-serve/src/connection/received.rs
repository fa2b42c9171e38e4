//! What the client has sent last, for checks of what hyper hides: fragments, malformed heads, the lines before chunks.

use http::{Method, Uri};

/// Bytes that are kept. A request line that is not refused is shorter.
const MAX_KEPT: usize = 9 << 10;

/// The beginning of what was read since the last request was received: hyper keeps nothing of a head that it refuses,
/// removes a fragment, and is lenient with the lines of a chunked body.
#[derive(Debug, Default)]
pub(super) struct Received {
    bytes: Vec<u8>,
    /// The number of requests that had been received before these bytes.
    requests: u64,
}

impl Received {
    /// More was read, after this number of requests.
    pub(super) fn add(&mut self, bytes: &[u8], requests: u64) {
        if self.requests != requests {
            self.requests = requests;
            self.bytes.clear();
        }
        let room = MAX_KEPT.saturating_sub(self.bytes.len());
        let kept = &bytes[..bytes.len().min(room)];
        self.bytes.extend_from_slice(kept);
    }

    /// What has come of the body of the connection's `request`th request, together with its head. `None` where the body
    /// does not certainly begin there: behind another request, or after a head of unusual size.
    pub(super) fn body_of(&self, request: u64) -> Option<&[u8]> {
        if request != self.requests + 1 || self.bytes.len() == MAX_KEPT {
            return None;
        }
        let mut blank = self.bytes.windows(3).enumerate();
        let begin = blank.find_map(|(at, bytes)| match bytes {
            [b'\n', b'\n', _] => Some(at + 2),
            b"\n\r\n" => Some(at + 3),
            _ => None,
        });
        // Without one, the last two bytes are the blank line.
        let rest = self.bytes.get(begin.unwrap_or(self.bytes.len())..);
        Some(rest.unwrap_or_default())
    }

    /// Gives the bytes away.
    pub(super) fn take(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.bytes)
    }

    /// Whether the target of the connection's `request`th request was sent with a fragment. It is missed in a request that
    /// followed another one so early that its head came in two pieces.
    pub(super) fn has_fragment(&self, request: u64, method: &Method, target: &Uri) -> bool {
        let is_first = request == self.requests + 1;
        let path = target.path_and_query().map_or("", |path| path.as_str());
        let is_path = target.authority().is_none();
        if is_first && is_path {
            // hyper has parsed this line: where the target ends with its path, a space follows, and where it does not, a
            // fragment. Only an empty line before it would shift it.
            let begin = method.as_str().len();
            let byte = |at: usize| self.bytes.get(at).copied();
            if byte(begin) == Some(b' ') && byte(begin + 1) == path.bytes().next() {
                return byte(begin + 1 + path.len()) == Some(b'#');
            }
        }
        // Behind another one, or with an absolute target.
        if !self.bytes.contains(&b'#') {
            return false;
        }
        let target = target.to_string();
        let lines = self.bytes.split(|byte| *byte == b'\n');
        // An absolute target without a path has got one.
        let targets = [target.as_str(), target.trim_end_matches('/')];
        lines.into_iter().any(|line| {
            let next = |target: &&str| after_target(line, method, target) == Some(b'#');
            targets.iter().any(next)
        })
    }
}

/// What follows the target in a request line.
fn after_target(line: &[u8], method: &Method, target: &str) -> Option<u8> {
    let rest = line.strip_prefix(method.as_str().as_bytes())?;
    let rest = rest.strip_prefix(b" ")?.strip_prefix(target.as_bytes())?;
    rest.first().copied()
}

/// Bytes of a line before a chunk. hyper refuses longer ones.
const MAX_LINE: usize = 16 << 10;

/// Checks the lines before the chunks of a body (RFC 9112 section 7.1): hyper decodes the body and accepts lines that the
/// grammar does not have, such as `5;` or a NUL in an extension. The content of the chunks is skipped.
#[derive(Debug, Default)]
pub(super) struct ChunkLines {
    line: Vec<u8>,
    /// Bytes of the chunk, and of the end of its last line.
    skip: u64,
    state: LineState,
}

#[derive(Debug, Default, PartialEq)]
enum LineState {
    #[default]
    Open,
    /// After the last chunk, or at a line that hyper refuses.
    Ended,
    Invalid,
}

impl ChunkLines {
    /// Whether all lines so far are valid.
    pub(super) fn are_valid(&self) -> bool {
        self.state != LineState::Invalid
    }

    /// Checks more of the body.
    pub(super) fn add(&mut self, mut bytes: &[u8]) {
        while self.state == LineState::Open && !bytes.is_empty() {
            let skipped = self.skip.min(bytes.len() as u64);
            self.skip -= skipped;
            // No more than there are.
            bytes = &bytes[usize::try_from(skipped).unwrap_or(bytes.len())..];
            let end = bytes.iter().position(|byte| *byte == b'\n');
            self.line
                .extend_from_slice(&bytes[..end.unwrap_or(bytes.len())]);
            if self.line.len() > MAX_LINE {
                self.state = LineState::Ended;
            }
            let Some(end) = end else {
                return;
            };
            bytes = &bytes[end + 1..];
            self.end_line();
        }
    }

    fn end_line(&mut self) {
        let line = self.line.strip_suffix(b"\r").unwrap_or(&self.line);
        let digits = line.iter().take_while(|byte| byte.is_ascii_hexdigit());
        let (size, extensions) = line.split_at(digits.count());
        if !are_extensions(extensions) {
            self.state = LineState::Invalid;
            return;
        }
        let size = str::from_utf8(size).ok();
        let size = size.and_then(|size| u64::from_str_radix(size, 16).ok());
        self.line.clear();
        match size.unwrap_or(0).checked_add(2) {
            Some(2) | None => self.state = LineState::Ended,
            Some(skip) => self.skip = skip,
        }
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
                    for piece in body.as_bytes().chunks(piece) {
                        read.add(piece);
                    }
                    assert_eq!(read.are_valid(), are_valid, "{line:?}");
                    assert_eq!(read.state == LineState::Ended, are_valid);
                }
            }
        }
        for whole in ["ffffffffffffffff\r\n", "fffffffffffffffff\r\n", "x\r\n"] {
            let mut read = ChunkLines::default();
            read.add(whole.as_bytes());
            assert_eq!(read.are_valid(), whole != "x\r\n");
        }
    }
}
