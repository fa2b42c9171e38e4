//! The load: `wrk`, `h2load`, or a program of this package. Each has one thread.

use std::{net::SocketAddr, path::Path, process::Command, time::Duration};

use serde::Deserialize;

use crate::{
    Failure,
    case::Mode,
    cores::{self, Side},
    h2load,
    places::Places,
    server::cpu_seconds_of_ended_children,
};

/// The fields of a browser's request.
const BROWSER: [(&str, &str); 15] = [
    (
        "User-Agent",
        "Mozilla/5.0 (X11; Linux x86_64; rv:145.0) Gecko/20100101 Firefox/145.0",
    ),
    (
        "Accept",
        "text/html,application/xhtml+xml,application/xml;q=0.9,image/avif,image/webp,*/*;q=0.8",
    ),
    ("Accept-Language", "en-GB,en;q=0.8,it;q=0.5,de;q=0.3"),
    ("Accept-Encoding", "gzip, deflate, br, zstd"),
    (
        "Referer",
        "https://shop.example/catalogue?page=2&sort=price",
    ),
    (
        "Cookie",
        "session=eyJ1c2VyIjo0Mn0.aR2b3Q.kq0Yc5w1; theme=dark; consent=yes; _ga=GA1.1.1234567890",
    ),
    ("DNT", "1"),
    ("Sec-GPC", "1"),
    ("Upgrade-Insecure-Requests", "1"),
    ("Sec-Fetch-Dest", "document"),
    ("Sec-Fetch-Mode", "navigate"),
    ("Sec-Fetch-Site", "same-origin"),
    ("Sec-Fetch-User", "?1"),
    ("Priority", "u=0, i"),
    ("Cache-Control", "max-age=0"),
];

/// The request, and the number of connections.
#[derive(Clone, Debug)]
pub(crate) struct Load {
    pub(crate) protocol: Protocol,
    pub(crate) connections: usize,
    /// The path of the requests.
    pub(crate) path: &'static str,
    /// The fields beside `Host`.
    pub(crate) headers: &'static [(&'static str, &'static str)],
    /// The size of the request's body, or of a message.
    pub(crate) body: Option<usize>,
    /// The body of the right response; empty if that is the body of the request.
    pub(crate) response: &'static [u8],
    /// The application makes the response in this number of blocks, and waits for a while after the first one where it is asked
    /// for `/waits`.
    pub(crate) blocks: usize,
}

/// What the connections carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Protocol {
    Http,
    /// With prior knowledge, ten streams at once on each connection.
    Http2,
    /// The same over TLS.
    Http2Tls,
    /// Each request is a connection, which ends with its handshake.
    Handshake,
    /// Each request is a message.
    WebSocket,
}

impl Protocol {
    pub(crate) fn is_encrypted(self) -> bool {
        matches!(self, Self::Http2Tls | Self::Handshake)
    }

    /// Whether a request has to be made by another program than this one.
    pub(crate) fn is_curls(self) -> bool {
        matches!(self, Self::Http2) || self.is_encrypted()
    }
}

/// The report of one round.
#[derive(Clone, Debug, Default, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) requests: u64,
    pub(crate) microseconds: u64,
    pub(crate) bytes: u64,
    pub(crate) p50: u64,
    pub(crate) p99: u64,
    pub(crate) p999: u64,
    pub(crate) connect: u64,
    pub(crate) read: u64,
    pub(crate) write: u64,
    pub(crate) status: u64,
    pub(crate) timeout: u64,
    /// The part of one core that the load has used.
    #[serde(skip)]
    pub(crate) busy: f64,
}

impl Load {
    /// `GET` over this many connections.
    pub(crate) fn get(connections: usize, response: &'static [u8]) -> Self {
        Self {
            protocol: Protocol::Http,
            connections,
            path: "/",
            headers: &[],
            body: None,
            response,
            blocks: 1,
        }
    }

    /// `POST` of `length` bytes, which the server sends back.
    pub(crate) fn echo(connections: usize, bytes: usize) -> Self {
        Self {
            body: Some(bytes),
            ..Self::get(connections, b"")
        }
    }

    /// Text messages of this many bytes, which the server sends back.
    pub(crate) fn messages(connections: usize, bytes: usize) -> Self {
        Self {
            protocol: Protocol::WebSocket,
            ..Self::echo(connections, bytes)
        }
    }

    /// The same over HTTP/2.
    pub(crate) fn over_http2(self, tls: bool) -> Self {
        let protocol = if tls {
            Protocol::Http2Tls
        } else {
            Protocol::Http2
        };
        Self { protocol, ..self }
    }

    /// This many TLS handshakes at once, none of which resumes a session.
    pub(crate) fn handshakes(connections: usize) -> Self {
        Self {
            protocol: Protocol::Handshake,
            ..Self::get(connections, b"")
        }
    }

    /// For another path.
    pub(crate) fn at(self, path: &'static str) -> Self {
        Self { path, ..self }
    }

    /// With a response in `blocks` blocks.
    pub(crate) fn in_blocks(self, blocks: usize) -> Self {
        Self { blocks, ..self }
    }

    /// With the 16 headers of a browser.
    pub(crate) fn with_browser_headers(self) -> Self {
        Self {
            headers: &BROWSER,
            ..self
        }
    }

    /// The status of the right response.
    pub(crate) fn status(&self) -> u16 {
        match self.protocol {
            Protocol::WebSocket => 101,
            _ => 200,
        }
    }

    /// The body of a request, as `load.lua` makes it, or a message.
    pub(crate) fn posted(&self) -> Vec<u8> {
        vec![b'x'; self.body.unwrap_or_default()]
    }

    /// Runs it.
    pub(crate) fn run(
        &self,
        address: SocketAddr,
        duration: Duration,
        mode: Mode,
        places: &Places,
    ) -> Result<Outcome, Failure> {
        let seconds = duration.as_secs().max(1);
        let before = cpu_seconds_of_ended_children();
        let mut outcome = match self.protocol {
            Protocol::Http => reported(self.wrk(address, seconds, mode), "wrk")?,
            Protocol::Http2 | Protocol::Http2Tls => {
                h2load::run(self, address, seconds, mode, places)?
            }
            Protocol::Handshake => {
                let load = self.own("handshake-load", address, seconds, mode, places);
                reported(load, "handshake-load")?
            }
            Protocol::WebSocket => {
                let mut load = self.own("websocket-load", address, seconds, mode, places);
                load.arg(self.body.unwrap_or_default().to_string());
                reported(load, "websocket-load")?
            }
        };
        let cpu = cpu_seconds_of_ended_children() - before;
        outcome.busy = cpu * 1e6 / float(outcome.microseconds.max(1));
        Ok(outcome)
    }

    /// A program of this package.
    fn own(
        &self,
        name: &str,
        address: SocketAddr,
        seconds: u64,
        mode: Mode,
        places: &Places,
    ) -> Command {
        let mut load = cores::command(&places.rust.join(name), mode, Side::Load);
        load.arg(address.to_string());
        load.args([self.connections as u64, seconds].map(|it| it.to_string()));
        load
    }

    fn wrk(&self, address: SocketAddr, seconds: u64, mode: Mode) -> Command {
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/src/load.lua");
        let mut wrk = cores::command(Path::new("wrk"), mode, Side::Load);
        wrk.args(["-t", "1", "--script", script]);
        wrk.arg(format!("-c{}", self.connections));
        // Thousands of connections take a while to open.
        let seconds = seconds * (1 + self.connections as u64 / 1000);
        wrk.arg(format!("-d{seconds}"));
        for (name, value) in self.headers {
            wrk.args(["-H", &format!("{name}: {value}")]);
        }
        wrk.arg(format!("http://{address}{}", self.path)).arg("--");
        wrk.args(self.body.map(|bytes| bytes.to_string()));
        wrk
    }
}

/// Runs a program that prints an [`Outcome`] in JSON.
fn reported(mut load: Command, name: &str) -> Result<Outcome, Failure> {
    let output = load
        .output()
        .map_err(|error| Failure(format!("`{name}` could not be started: {error}")))?;
    let report = String::from_utf8_lossy(&output.stdout);
    let line = report.lines().find(|line| line.starts_with('{'));
    line.and_then(|line| serde_json::from_str(line).ok())
        .ok_or_else(|| {
            let said = String::from_utf8_lossy(&output.stderr);
            Failure(format!("`{name}` reported nothing: {report}{said}"))
        })
}

impl Outcome {
    pub(crate) fn requests_per_second(&self) -> f64 {
        float(self.requests) * 1e6 / float(self.microseconds.max(1))
    }

    /// Whether fewer bytes have arrived than the bodies of `count` right responses have.
    pub(crate) fn is_too_short(&self, load: &Load) -> bool {
        let body = load.body.unwrap_or(load.response.len());
        self.bytes < self.requests * body as u64
    }

    /// The requests that did not end well.
    pub(crate) fn errors(&self) -> u64 {
        self.connect + self.read + self.write + self.status + self.timeout
    }
}

/// Exact up to 2^53, which no count here reaches.
#[expect(clippy::cast_precision_loss)]
pub(crate) fn float(count: u64) -> f64 {
    count as f64
}
