//! How much of a `Content-Length` is yet to come.

use bytes::Bytes;
use http_body::SizeHint;

/// The bytes that are left of a `Content-Length`, if there is one.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Left(Option<u64>);

/// Whether a piece was within the length.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Fit {
    Whole,
    /// Its end was cut off.
    Cut,
}

impl Left {
    pub(super) fn new(length: Option<u64>) -> Self {
        Self(length)
    }

    /// Counts a piece, and cuts off what is too much of it.
    pub(super) fn fit(&mut self, piece: &mut Bytes) -> Fit {
        let Some(left) = &mut self.0 else {
            return Fit::Whole;
        };
        let length = piece.len() as u64;
        if length <= *left {
            *left -= length;
            return Fit::Whole;
        }
        piece.truncate(usize::try_from(*left).unwrap_or(usize::MAX));
        *left = 0;
        Fit::Cut
    }

    pub(super) fn is_known(self) -> bool {
        self.0.is_some()
    }

    /// Whether all of it has come. Without a length nobody knows.
    pub(super) fn is_complete(self) -> bool {
        self.0 == Some(0)
    }

    /// An error if the body ends here and must not.
    pub(super) fn end(self) -> Result<(), String> {
        match self.0 {
            None | Some(0) => Ok(()),
            Some(left) => Err(format!(
                "the application gave {left} bytes less than its Content-Length says"
            )),
        }
    }

    pub(super) fn size_hint(self) -> SizeHint {
        self.0.map_or_else(SizeHint::new, SizeHint::with_exact)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pieces_are_counted_and_cut() {
        let mut left = Left::new(Some(5));
        let mut piece = Bytes::from("abc");
        assert_eq!((left.fit(&mut piece), &*piece), (Fit::Whole, &b"abc"[..]));
        assert!(left.end().unwrap_err().contains("2 bytes less"));
        let mut piece = Bytes::from("defg");
        assert_eq!((left.fit(&mut piece), &*piece), (Fit::Cut, &b"de"[..]));
        assert!(left.is_complete() && left.end().is_ok());
    }

    #[test]
    fn without_a_length_everything_fits() {
        let mut left = Left::default();
        let mut piece = Bytes::from("abc");
        assert_eq!(left.fit(&mut piece), Fit::Whole);
        assert!(!left.is_complete() && left.end().is_ok());
    }
}
