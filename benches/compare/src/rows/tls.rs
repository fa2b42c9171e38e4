//! The command line of each server for HTTP/2, TLS and static files, as its manual recommends. One worker each.

use super::peers::{Peers, prefork};
use crate::{
    files::{CERTIFICATE, KEY, STATIC},
    places::Places,
    program::Program,
};

/// The names of the options for a certificate and its key.
type Options = [&'static str; 2];

/// The path of the static files.
const PREFIX: &str = "/static";

/// The bare service on `tower-prefork`, and hyper's own server.
pub(super) fn in_rust(places: &Places, tls: bool) -> Vec<Program> {
    let why = "hyper's server for both versions, with TCP_NODELAY.";
    let auto = Program::new(
        "hyper, auto",
        places.rust.join("auto-server"),
        "{port}",
        why,
    );
    let ours = prefork(places, 1);
    if !tls {
        return vec![ours, auto];
    }
    let [certificate, key] = [CERTIFICATE, KEY].map(|name| places.file(name).display().to_string());
    vec![
        ours.with(&format!("--tls {certificate} {key}")),
        auto.with(&format!("{certificate} {key}")),
    ]
}

impl Peers<'_> {
    /// The servers that speak HTTP/2, each with the threads that are its best where nothing waits.
    pub(super) fn with_http2(&self, tls: bool) -> Vec<Program> {
        let ours = self.ours(1, 10);
        let (granian, weft, peregrine) = (
            self.granian_http2(),
            self.weft(1, None),
            self.peregrine(1, None),
        );
        if !tls {
            return vec![ours, granian, weft, peregrine];
        }
        vec![
            self.with_tls(ours, ["--tls-certificate", "--tls-key"]),
            self.with_tls(granian, ["--ssl-certificate", "--ssl-keyfile"]),
            self.with_tls(weft, ["--tls-cert", "--tls-key"]),
            self.with_tls(peregrine, ["--tls-cert", "--tls-key"]),
        ]
    }

    fn granian_http2(&self) -> Program {
        self.program(
            "Granian",
            "granian",
            "--interface wsgi --host 127.0.0.1 --port {port} --workers 1 --blocking-threads 1 \
             --runtime-mode st --runtime-threads 1 --http auto --no-ws --log-level error",
            "Its benchmarks serve WSGI on the single-threaded runtime; both versions of HTTP, as ours.",
        )
    }

    fn with_tls(&self, program: Program, options: Options) -> Program {
        let [certificate, key] = options;
        program.with(&format!(
            "{certificate} {} {key} {}",
            self.places.file(CERTIFICATE).display(),
            self.places.file(KEY).display()
        ))
    }

    /// The servers that serve files by themselves, and nginx.
    pub(super) fn with_static_files(&self) -> Vec<Program> {
        let directory = self.places.file(STATIC).display().to_string();
        let nginx = Program::new(
            "nginx",
            self.places.python.join("bin/python"),
            &format!("static_nginx.py {{port}} {directory}"),
            "One process with sendfile, as its manual recommends for files.",
        );
        vec![
            self.ours(1, 10)
                .with(&format!("--static {PREFIX}={directory}")),
            nginx,
            self.granian(1, 1).with(&format!(
                "--static-path-route {PREFIX} --static-path-mount {directory}"
            )),
            self.weft(1, None)
                .with(&format!("--static-dir {PREFIX}={directory}")),
        ]
    }
}
