//! `POST /digest`: the length and the SHA-256 of a document.

use std::{
    fmt::Write as _,
    io::{self, Read},
};

use axum::{
    extract::Query,
    http::{Request, StatusCode},
    response::{IntoResponse as _, Json, Response},
};
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use tower_wsgi::BufferedBody;

use crate::documents::{Document, Documents};

/// The longest name of a document, in bytes.
const MAX_NAME: usize = 200;

#[derive(Deserialize)]
struct DigestQuery {
    name: Option<String>,
}

/// Reads the document, which has arrived in full, and hashes it. It blocks.
pub(crate) fn digest(documents: &Documents, mut request: Request<BufferedBody>) -> Response {
    let name = match Query::<DigestQuery>::try_from_uri(request.uri()) {
        Ok(Query(params)) => params.name,
        Err(error) => return error.into_response(),
    };
    if name.as_ref().is_some_and(|name| name.len() > MAX_NAME) {
        let problem = format!("the name is longer than {MAX_NAME} bytes\n");
        return (StatusCode::BAD_REQUEST, problem).into_response();
    }
    match sha256(request.body_mut()) {
        Ok((length, sha256)) => {
            let document = Document {
                name,
                length,
                sha256,
            };
            documents.add(document.clone());
            Json(document).into_response()
        }
        Err(error) => {
            tracing::error!(%error, "cannot read a document");
            StatusCode::INTERNAL_SERVER_ERROR.into_response()
        }
    }
}

fn sha256(document: &mut impl Read) -> io::Result<(u64, String)> {
    let mut hash = Sha256::new();
    let mut buffer = vec![0; 64 << 10];
    let mut length = 0;
    loop {
        let count = document.read(&mut buffer)?;
        if count == 0 {
            break;
        }
        hash.update(&buffer[..count]);
        length += count as u64;
    }
    Ok((length, hex(&hash.finalize())))
}

/// In lower case.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().fold(String::new(), |mut hex, byte| {
        let _ = write!(hex, "{byte:02x}");
        hex
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_digest_is_that_of_the_standard() {
        let (length, sha256) = sha256(&mut &b"abc"[..]).expect("memory can be read");
        assert_eq!(length, 3);
        assert_eq!(
            sha256,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
        );
    }
}
