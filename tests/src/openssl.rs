//! OpenSSL's client of TLS.

use std::{
    fmt::Write as _,
    io::Write as _,
    net::SocketAddr,
    process::{Command, Stdio},
};

use crate::installed;

/// `openssl s_client`, which sends one request and shows what it has seen.
#[derive(Debug)]
pub struct SClient {
    arguments: Vec<String>,
}

impl SClient {
    /// A client of this address; `None` if OpenSSL is not installed, so that the test must be skipped.
    #[must_use]
    pub fn new(address: SocketAddr, arguments: &str) -> Option<Self> {
        let _ = installed("openssl")?;
        let address = address.to_string();
        let fixed = ["s_client", "-ign_eof", "-connect", &address].map(str::to_owned);
        let further = arguments.split_whitespace().map(str::to_owned);
        Some(Self {
            arguments: fixed.into_iter().chain(further).collect(),
        })
    }

    /// All that it prints for a GET of this path, and what went wrong.
    ///
    /// # Panics
    ///
    /// When it cannot be run.
    #[must_use]
    pub fn get(&self, path: &str) -> String {
        let mut child = Command::new("openssl")
            .args(&self.arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("openssl can be started");
        let request =
            format!("GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n");
        // It may have ended already.
        let _ = child
            .stdin
            .take()
            .expect("a pipe")
            .write_all(request.as_bytes());
        let output = child.wait_with_output().expect("openssl runs");
        let mut text = String::from_utf8_lossy(&output.stdout).into_owned();
        let _ = write!(text, "{}", String::from_utf8_lossy(&output.stderr));
        text.replace('\r', "")
    }
}
