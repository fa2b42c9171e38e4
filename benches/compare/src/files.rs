//! The files that servers and loads need: a certificate, bodies to post, and files to serve.

use std::{fs, io};

use rcgen::{CertifiedKey, generate_simple_self_signed};

use crate::places::Places;

/// A certificate of `localhost`, and its key.
pub(crate) const CERTIFICATE: &str = "certificate.pem";
pub(crate) const KEY: &str = "key.pem";

/// The body that is posted over HTTP/2.
pub(crate) const POSTED: &str = "posted.bin";

/// The number of bytes of [`POSTED`].
pub(crate) const POSTED_BYTES: usize = 10 << 10;

/// The directory of static files.
pub(crate) const STATIC: &str = "static";

/// The static files, all bytes `x`, with their sizes.
pub(crate) const STATIC_FILES: [(&str, usize); 2] = [("10k.bin", 10 << 10), ("1m.bin", 1 << 20)];

/// Writes them to the directory of the logs.
pub(crate) fn write(places: &Places) -> io::Result<()> {
    fs::create_dir_all(places.file(STATIC))?;
    let CertifiedKey { cert, signing_key } =
        generate_simple_self_signed(["localhost".to_owned()]).map_err(io::Error::other)?;
    fs::write(places.file(CERTIFICATE), cert.pem())?;
    fs::write(places.file(KEY), signing_key.serialize_pem())?;
    fs::write(places.file(POSTED), vec![b'x'; POSTED_BYTES])?;
    for (name, bytes) in STATIC_FILES {
        fs::write(places.file(STATIC).join(name), vec![b'x'; bytes])?;
    }
    Ok(())
}
