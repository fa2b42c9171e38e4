//! Fields as bytes (RFC 7541), valid or not, and the status of a response.

/// The list of a request's fields, byte for byte. Without a table: each field is written out.
#[derive(Clone, Debug, Default)]
pub struct Fields(Vec<u8>);

impl Fields {
    /// No field.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// The pseudo-fields of a request.
    #[must_use]
    pub fn request(method: &str, path: &str) -> Self {
        Self::new()
            .field(":method", method)
            .field(":scheme", "http")
            .field(":authority", "test")
            .field(":path", path)
    }

    /// Those of a GET request.
    #[must_use]
    pub fn get(path: &str) -> Self {
        Self::request("GET", path)
    }

    /// Those of a POST request.
    #[must_use]
    pub fn post(path: &str) -> Self {
        Self::request("POST", path)
    }

    /// Adds a field that no table is to contain.
    #[must_use]
    pub fn field(self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.literal(0x00, name.as_ref(), value.as_ref())
    }

    /// Adds a field, also to the table.
    #[must_use]
    pub fn indexed_field(self, name: impl AsRef<[u8]>, value: impl AsRef<[u8]>) -> Self {
        self.literal(0x40, name.as_ref(), value.as_ref())
    }

    /// Adds the entry of the table with this index.
    #[must_use]
    pub fn index(mut self, index: usize) -> Self {
        self.number(0x80, 7, index);
        self
    }

    /// Adds a change of the table's size.
    #[must_use]
    pub fn table_size(mut self, size: usize) -> Self {
        self.number(0x20, 5, size);
        self
    }

    /// Adds bytes.
    #[must_use]
    pub fn raw(mut self, bytes: impl AsRef<[u8]>) -> Self {
        self.0.extend(bytes.as_ref());
        self
    }

    /// The number of bytes.
    #[must_use]
    pub fn len(&self) -> usize {
        self.0.len()
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    fn literal(mut self, form: u8, name: &[u8], value: &[u8]) -> Self {
        self.0.push(form);
        for text in [name, value] {
            self.number(0, 7, text.len());
            self.0.extend(text);
        }
        self
    }

    /// A number behind the first bits of a byte (RFC 7541 section 5.1).
    fn number(&mut self, first: u8, bits: u32, number: usize) {
        let most = (1_usize << bits) - 1;
        if number < most {
            self.0.push(first | number as u8);
            return;
        }
        self.0.push(first | most as u8);
        let mut rest = number - most;
        while rest >= 0x80 {
            self.0.push(rest as u8 | 0x80);
            rest >>= 7;
        }
        self.0.push(rest as u8);
    }
}

impl From<Fields> for Vec<u8> {
    fn from(fields: Fields) -> Self {
        fields.0
    }
}

/// The status of a response, which is its first field. For a client that has set the size of the table to 0.
pub(super) fn status(block: &[u8]) -> Option<u16> {
    match block {
        // A change of the table's size, to 0.
        [0x20, rest @ ..] => status(rest),
        [indexed @ 0x88..=0x8e, ..] => {
            let known = [200, 204, 206, 304, 400, 404, 500];
            Some(known[usize::from(indexed - 0x88)])
        }
        // A literal, whose name is that of one of those.
        [form, length, rest @ ..] if matches!(form & 0xf, 8..=14) && form & 0xe0 != 0x20 => {
            let digits = rest.get(..usize::from(length & 0x7f))?;
            let text = match length & 0x80 {
                0 => String::from_utf8(digits.to_vec()).ok()?,
                _ => huffman_digits(digits)?,
            };
            text.parse().ok()
        }
        _ => None,
    }
}

/// Three digits in the code of RFC 7541, appendix B: those up to 2 have 5 bits, the others 6.
fn huffman_digits(bytes: &[u8]) -> Option<String> {
    let bits = bytes
        .iter()
        .fold(0_u64, |bits, byte| bits << 8 | u64::from(*byte));
    let mut left = bytes.len() * 8;
    let mut text = String::new();
    while text.len() < 3 {
        let short = bits >> left.checked_sub(5)? & 0x1f;
        let digit = if short <= 2 {
            left -= 5;
            short
        } else {
            left = left.checked_sub(6)?;
            (bits >> left & 0x3f).checked_sub(0x19)? + 3
        };
        text.push(char::from_digit(digit as u32, 10)?);
    }
    Some(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_are_those_of_the_rfc() {
        let mut fields = Fields::new();
        fields.number(0, 5, 10);
        fields.number(0, 5, 1337);
        fields.number(0, 8, 42);
        assert_eq!(fields.0, [10, 31, 154, 10, 42]);
    }

    #[test]
    fn the_status_is_read_in_each_form() {
        assert_eq!(status(&[0x88, 0xff]), Some(200));
        assert_eq!(status(&[0x20, 0x8d]), Some(404));
        assert_eq!(status(b"\x08\x03431"), Some(431));
        // Of the examples in appendix C.6, and 999.
        assert_eq!(status(&[0x48, 0x82, 0x64, 0x02]), Some(302));
        assert_eq!(status(&[0x08, 0x83, 0x7d, 0xf7, 0xdf]), Some(999));
        assert_eq!(status(&[0x82]), None);
    }
}
