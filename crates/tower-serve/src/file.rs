//! Reads files of the operator, which a reload reads again.

use std::{
    fs::File,
    io::{self, Read},
    path::Path,
};

use rustix::fs::{Mode, OFlags};

/// Reads a whole file of at most `longest` bytes.
pub fn read(path: &Path, longest: u64) -> io::Result<Vec<u8>> {
    // A pipe without a writer does not block the program.
    let flags = OFlags::RDONLY | OFlags::CLOEXEC | OFlags::NONBLOCK;
    let file = File::from(rustix::fs::open(path, flags, Mode::empty())?);
    if !file.metadata()?.is_file() {
        return Err(io::Error::other(
            "it is no regular file, and could not be read again at a reload",
        ));
    }
    let mut bytes = Vec::new();
    if file.take(longest + 1).read_to_end(&mut bytes)? as u64 > longest {
        let kib = longest >> 10;
        return Err(io::Error::other(format!("it is longer than {kib} KiB")));
    }
    Ok(bytes)
}
