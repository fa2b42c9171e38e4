//! `GET /report`: a large CSV, written row by row by blocking code.

use std::{convert::Infallible, fmt::Write as _};

use axum::{
    body::Body,
    extract::Query,
    http::{Request, StatusCode, header},
    response::{IntoResponse as _, Response},
};
use bytes::Bytes;
use futures_util::stream;
use http_body::Frame;
use http_body_util::StreamBody;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};

use crate::digest::hex;

const MAX_ROWS: u32 = 10_000_000;

/// Rows are sent in pieces of at least this number of bytes.
const PIECE: usize = 64 << 10;

#[derive(Deserialize)]
struct ReportQuery {
    #[serde(default = "default_rows")]
    rows: u32,
}

fn default_rows() -> u32 {
    1000
}

/// Responds at once; the rows are computed while they are sent, on the thread that called this.
pub(crate) fn report(request: &Request<Body>) -> Response {
    let rows = match Query::<ReportQuery>::try_from_uri(request.uri()) {
        Ok(Query(params)) => params.rows,
        Err(error) => return error.into_response(),
    };
    if rows > MAX_ROWS {
        let problem = format!("rows must be a whole number from 0 to {MAX_ROWS}\n");
        return (StatusCode::BAD_REQUEST, problem).into_response();
    }
    let pieces = pieces(rows).map(|piece| Ok::<_, Infallible>(Frame::data(Bytes::from(piece))));
    let headers = [
        (header::CONTENT_TYPE, "text/csv; charset=utf-8"),
        (
            header::CONTENT_DISPOSITION,
            "attachment; filename=\"report.csv\"",
        ),
    ];
    let body = Body::new(StreamBody::new(stream::iter(pieces)));
    (headers, body).into_response()
}

/// The table in pieces; computing each takes some time.
fn pieces(rows: u32) -> impl Iterator<Item = String> {
    let mut header = Some(String::from("row,sha256\n"));
    let mut row = 0;
    std::iter::from_fn(move || {
        let mut piece = header.take().unwrap_or_default();
        while row < rows && piece.len() < PIECE {
            row += 1;
            let sha256 = hex(&Sha256::digest(row.to_string()));
            let _ = writeln!(piece, "{row},{sha256}");
        }
        (!piece.is_empty()).then_some(piece)
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_table_has_a_header_and_each_row_once() {
        let table: String = pieces(5000).collect();
        let mut lines = table.lines();
        assert_eq!(lines.next(), Some("row,sha256"));
        assert_eq!(
            lines.next(),
            Some("1,6b86b273ff34fce19d6b804eff5a3f5747ada4eaa22f1d49c01e52ddb7875b4b")
        );
        assert_eq!(lines.count(), 4999);
    }

    #[test]
    fn a_large_table_comes_in_pieces() {
        assert!(pieces(5000).count() > 3);
        assert!(pieces(5000).all(|piece| piece.len() < PIECE + 100));
        assert_eq!(pieces(0).collect::<String>(), "row,sha256\n");
    }
}
