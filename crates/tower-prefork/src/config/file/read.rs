//! Reading a configuration file as a whole.

use std::path::Path;

use tower_serve::internal::file;

/// Bytes of a file.
const LONGEST: u64 = 1 << 20;

/// Reads a file as a whole. The error is a sentence for the operator.
pub(super) fn read(path: &Path) -> Result<String, String> {
    let named = path.display();
    let bytes = file::read(path, LONGEST)
        .map_err(|error| format!("cannot read the configuration file {named}: {error}"))?;
    String::from_utf8(bytes).map_err(|error| {
        let valid = &error.as_bytes()[..error.utf8_error().valid_up_to()];
        let line = line(valid, valid.len());
        format!("{named}:{line}: the file is not UTF-8; save it in that encoding")
    })
}

/// The line of a place in a text, from 1.
pub(super) fn line(text: &[u8], place: usize) -> usize {
    let before = &text[..place.min(text.len())];
    1 + before.iter().filter(|byte| **byte == b'\n').count()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_that_cannot_be_read_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("shop.toml");
        let named = path.display();
        let refused = || read(&path).unwrap_err();
        assert!(refused().starts_with(&format!(
            "cannot read the configuration file {named}: No such file"
        )));
        std::fs::write(&path, b"a = 1\nb = \"\xff\"").unwrap();
        assert!(refused().starts_with(&format!("{named}:2: the file is not UTF-8")));
        std::fs::write(&path, " ".repeat(1 << 20)).unwrap();
        assert!(read(&path).is_ok());
        std::fs::write(&path, " ".repeat((1 << 20) + 1)).unwrap();
        assert!(refused().ends_with("longer than 1024 KiB"));
        let directory = read(directory.path()).unwrap_err();
        assert!(directory.contains("no regular file"), "{directory}");
    }

    #[test]
    fn lines_are_counted_from_one() {
        let place = |text: &str, place| line(text.as_bytes(), place);
        assert_eq!(place("", 0), 1);
        assert_eq!(place("a\nb", 1), 1);
        assert_eq!(place("a\nb", 2), 2);
        assert_eq!(place("a\n", 9), 2);
    }
}
