//! The contents of the certificate files on their way to a worker: a file in memory, because they may be larger than a message.

use std::{
    fs::File,
    io::{self, BufReader, BufWriter, IntoInnerError, Seek, Write},
    os::fd::OwnedFd,
};

use rustix::fs::{MemfdFlags, memfd_create};
use tower_serve::internal::tls::TlsMaterial;

/// A file with the contents, for one worker: the position in it is shared with whom reads it.
pub(crate) fn write_certificates(material: &TlsMaterial) -> io::Result<OwnedFd> {
    let file = File::from(memfd_create("certificates", MemfdFlags::CLOEXEC)?);
    let mut writer = BufWriter::new(file);
    serde_json::to_writer(&mut writer, material)?;
    writer.flush()?;
    let mut file = writer.into_inner().map_err(IntoInnerError::into_error)?;
    file.rewind()?;
    Ok(file.into())
}

/// The contents in a file that [`write_certificates`] has made.
pub(crate) fn read_certificates(file: OwnedFd) -> io::Result<TlsMaterial> {
    let reader = BufReader::new(File::from(file));
    serde_json::from_reader(reader).map_err(io::Error::other)
}
