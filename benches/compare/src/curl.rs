//! One request over HTTP/2 or TLS, made by curl.

use std::{fs, io, net::SocketAddr, process::Command, time::Duration};

use crate::{
    client::Response,
    files::POSTED,
    load::{Load, Protocol},
    places::Places,
};

/// Asks once. The response has to come over HTTP/2 where the load is that.
pub(crate) fn ask(
    address: SocketAddr,
    load: &Load,
    patience: Duration,
    places: &Places,
) -> io::Result<Response> {
    let body = places.file("response.bin");
    let mut curl = Command::new("curl");
    curl.args(["--silent", "--show-error", "--insecure", "--output"]);
    curl.arg(&body);
    curl.args(["--write-out", "%{http_code} %{http_version}", "--max-time"]);
    curl.arg(patience.as_secs().to_string());
    let scheme = if load.protocol.is_encrypted() {
        "https"
    } else {
        "http"
    };
    match load.protocol {
        Protocol::Http2 => curl.arg("--http2-prior-knowledge"),
        _ => curl.arg("--http2"),
    };
    if load.body.is_some() {
        curl.args(["--header", "Content-Type: application/octet-stream"]);
        curl.arg("--data-binary");
        curl.arg(format!("@{}", places.file(POSTED).display()));
    }
    let output = curl
        .arg(format!("{scheme}://{address}{}", load.path))
        .output()?;
    if !output.status.success() {
        let problem = String::from_utf8_lossy(&output.stderr).trim().to_owned();
        return Err(io::Error::other(problem));
    }
    let words = String::from_utf8_lossy(&output.stdout).into_owned();
    let (status, version) = words.split_once(' ').unwrap_or_default();
    if load.protocol != Protocol::Handshake && version != "2" {
        return Err(io::Error::other(format!(
            "the response comes over HTTP/{version}"
        )));
    }
    Ok(Response {
        status: status.parse().map_err(io::Error::other)?,
        body: fs::read(body)?,
    })
}
