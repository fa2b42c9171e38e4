//! HTTP/2, TLS handshakes and static files.

use super::{HELLO, peers::Peers, tls::in_rust};
use crate::{
    case::{Case, Group, Row},
    files::POSTED_BYTES,
    h2load::STREAMS,
    load::Load,
    places::Places,
    target::{Against, Bound, Figure, Target},
};

const RAW: &[u8] = &[b'x'; 1024];
const SMALL: &[u8] = &[b'x'; 10 << 10];
const LARGE: &[u8] = &[b'x'; 1 << 20];

/// Each with [`STREAMS`] streams at once.
const CONNECTIONS: usize = 10;

/// The number of clients that shake hands at the same time.
const HANDSHAKES: usize = 16;

pub(super) fn rows(places: &Places) -> Vec<Row> {
    let row = |number, against, cases| Row {
        number,
        group: Group::Edge,
        against,
        cases,
    };
    let transports = [false, true];
    let python = transports.into_iter().flat_map(|tls| python(places, tls));
    let rust = transports.into_iter().flat_map(|tls| rust(places, tls));
    vec![
        row(20, "Granian, weft and peregrine, HTTP/2", python.collect()),
        row(21, "hyper's `auto` server, HTTP/2", rust.collect()),
        row(
            22,
            "Granian, weft and peregrine; hyper's `auto` server",
            handshakes(places),
        ),
        row(
            23,
            "nginx; Granian and weft",
            vec![
                static_file(places, "static file of 10 KB", "/static/10k.bin", SMALL),
                static_file(places, "static file of 1 MB", "/static/1m.bin", LARGE),
            ],
        ),
    ]
}

fn python(places: &Places, tls: bool) -> [Case; 2] {
    let case = |what, load: Load, application| {
        let peers = Peers::of(places, application);
        Case::load(
            name(what, tls),
            &load.over_http2(tls),
            peers.with_http2(tls),
        )
        .in_one_mode()
        .target(Target::throughput(1.0))
    };
    [
        case(
            "raw WSGI 1 KB",
            Load::get(CONNECTIONS, RAW),
            "raw:application",
        ),
        case(
            "echo of 10 KB",
            Load::echo(CONNECTIONS, POSTED_BYTES),
            "echo:application",
        ),
    ]
}

fn rust(places: &Places, tls: bool) -> [Case; 2] {
    let case = |what, load: Load| {
        Case::load(name(what, tls), &load.over_http2(tls), in_rust(places, tls))
            .in_one_mode()
            .target(Target::throughput(0.95))
    };
    [
        case("hello, Rust", Load::get(CONNECTIONS, HELLO)),
        case("echo of 10 KB, Rust", Load::echo(CONNECTIONS, POSTED_BYTES)),
    ]
}

fn name(what: &str, tls: bool) -> String {
    let transport = if tls { "TLS" } else { "cleartext" };
    format!("HTTP/2, {transport}, {CONNECTIONS} × {STREAMS} streams, {what}")
}

fn handshakes(places: &Places) -> Vec<Case> {
    let load = Load::handshakes(HANDSHAKES);
    let peers = Peers::of(places, "raw:application");
    vec![
        Case::load("TLS handshakes", &load, peers.with_http2(true))
            .in_one_mode()
            .target(Target::throughput(1.0)),
        Case::load("TLS handshakes, Rust", &load, in_rust(places, true))
            .in_one_mode()
            .target(Target::throughput(0.95)),
    ]
}

fn static_file(places: &Places, name: &str, path: &'static str, file: &'static [u8]) -> Case {
    let against = |name, ratio| Target {
        figure: Figure::Throughput,
        against: Against::Named(name),
        bound: Bound::AtLeast(ratio),
    };
    let peers = Peers::of(places, "raw:application");
    let load = Load::get(64, file).at(path);
    Case::load(name, &load, peers.with_static_files())
        .in_one_mode()
        .target(against("nginx", 0.7))
        .target(against("Granian", 1.0))
        .target(against("weft", 1.0))
}
