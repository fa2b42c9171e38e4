//! The length and the SHA-256 of a body, read in chunks.

use std::fmt::Write;
use std::io::{self, ErrorKind, Read};

use sha2::{Digest, Sha256};

/// The size of the buffer in bytes.
const CHUNK: usize = 64 * 1024;

/// The properties of an upload.
#[derive(Debug, PartialEq)]
pub(crate) struct Summary {
    pub(crate) length: u64,
    /// 64 hexadecimal digits, in lower case.
    pub(crate) sha256: String,
}

/// Reads `body` to its end.
pub(crate) fn summarize(mut body: impl Read) -> io::Result<Summary> {
    let mut hash = Sha256::new();
    let mut length = 0;
    let mut chunk = vec![0; CHUNK];
    loop {
        match body.read(&mut chunk) {
            Ok(0) => break,
            Ok(read) => {
                hash.update(&chunk[..read]);
                length += read as u64;
            }
            Err(error) if error.kind() == ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    let mut sha256 = String::with_capacity(64);
    for byte in hash.finalize() {
        let _ = write!(sha256, "{byte:02x}");
    }
    Ok(Summary { length, sha256 })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Gives its bytes one at a time, each after an interruption.
    struct Halting<'a> {
        bytes: &'a [u8],
        interrupted: bool,
    }

    impl Read for Halting<'_> {
        fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
            self.interrupted = !self.interrupted;
            if self.interrupted {
                return Err(ErrorKind::Interrupted.into());
            }
            let end = buffer.len().min(1);
            self.bytes.read(&mut buffer[..end])
        }
    }

    #[test]
    fn nothing_has_the_hash_of_nothing() {
        let summary = summarize(io::empty()).expect("it can be read");
        assert_eq!(summary.length, 0);
        assert_eq!(
            summary.sha256,
            "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"
        );
    }

    #[test]
    fn short_reads_and_interruptions_change_nothing() {
        let body = Halting {
            bytes: b"abc",
            interrupted: false,
        };
        let summary = summarize(body).expect("it can be read");
        assert_eq!(summary.length, 3);
        assert_eq!(
            summary.sha256,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }

    #[test]
    fn a_body_of_many_chunks_is_read_to_its_end() {
        // A million letters a: the third example of FIPS 180-2.
        let summary = summarize(io::repeat(b'a').take(1_000_000)).expect("it can be read");
        assert_eq!(summary.length, 1_000_000);
        assert_eq!(
            summary.sha256,
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0"
        );
    }

    #[test]
    fn a_broken_body_is_an_error() {
        struct Broken;
        impl Read for Broken {
            fn read(&mut self, _: &mut [u8]) -> io::Result<usize> {
                Err(ErrorKind::UnexpectedEof.into())
            }
        }
        assert!(summarize(b"abc".chain(Broken)).is_err());
    }
}
