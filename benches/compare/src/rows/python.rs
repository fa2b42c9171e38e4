//! Python applications, compared with other WSGI servers.

use super::peers::{Peers, bare_hyper};
use crate::{
    case::{Case, Group, Mode, Row},
    load::Load,
    places::Places,
    program::Program,
    target::{Against, Figure, Target},
};

const RAW: &[u8] = &[b'x'; 1024];
const CHUNKS: &[u8] = &[b'x'; 16 * 65536];
const PAGE: &[u8] = b"Hello, World!";

/// The name, the bytes that are sent back, the throughput as a multiple of the peer's.
const ECHOES: [(&str, usize, f64); 3] = [
    ("echo of 10 KB", 10 << 10, 1.3),
    ("echo of 100 KB", 100 << 10, 2.0),
    ("echo of 1 MB", 1 << 20, 2.0),
];

pub(super) fn rows(places: &Places) -> Vec<Row> {
    let row = |number, against, cases| Row {
        number,
        group: Group::Python,
        against,
        cases,
    };
    vec![
        row(
            4,
            "the best of peregrine, weft (each in its default), fastpysgi, fastwsgi, bjoern",
            vec![
                on_the_loop(places),
                hyper_alone(places, "1 KB, bare hyper", "1024", &Load::get(64, RAW)),
            ],
        ),
        row(
            5,
            "the best of Granian, weft and peregrine, the same threads",
            [1, 4, 10].map(|threads| pool(places, threads)).into(),
        ),
        row(
            6,
            "Granian, weft and peregrine, the same",
            vec![browser(places)],
        ),
        row(
            7,
            "the best of all with 1 thread",
            vec![
                page(
                    "Flask hello, 1 worker, 10 threads",
                    all(&Peers::of(places, "flask_hello:application")),
                ),
                page(
                    "Django hello, 1 worker, 10 threads",
                    fast_ones(&Peers::of(places, "django_hello:application")),
                ),
            ],
        ),
        row(
            8,
            "uWSGI `--http11-socket` (the best at this)",
            vec![one_connection(places)],
        ),
        row(
            9,
            "Granian",
            ECHOES
                .map(|(name, bytes, target)| echo(places, name, bytes, target))
                .into_iter()
                .chain(ECHOES.map(|(name, bytes, _)| {
                    let name = format!("{name}, bare hyper");
                    hyper_alone(places, &name, "", &Load::echo(64, bytes))
                }))
                .collect(),
        ),
        row(10, "the best peer", vec![generator(places)]),
        row(
            11,
            "the best peer that serves all connections",
            vec![mixed(places)],
        ),
    ]
}

fn on_the_loop(places: &Places) -> Case {
    let peers = Peers::of(places, "raw:application");
    let programs = vec![
        peers.ours(1, 0),
        peers.peregrine(1, None),
        peers.weft(1, None),
        peers.on_the_loop("fastpysgi"),
        peers.on_the_loop("fastwsgi"),
        peers.on_the_loop("bjoern"),
    ];
    Case::load(
        "raw WSGI 1 KB on the event loop, 1 worker",
        &Load::get(64, RAW),
        programs,
    )
    .target(Target::at_most(Figure::Cpu, Against::Each, 0.97))
    .target(Target::throughput(1.0))
}

fn pool(places: &Places, threads: usize) -> Case {
    let peers = Peers::of(places, "raw:application");
    let programs = vec![
        peers.ours(1, threads),
        peers.granian(1, threads),
        peers.weft(1, Some(threads)),
        peers.peregrine(1, Some(threads)),
    ];
    let name = format!("raw WSGI 1 KB, 1 worker, threads: {threads}");
    Case::load(name, &Load::get(64, RAW), programs).target(Target::throughput(1.25))
}

fn browser(places: &Places) -> Case {
    let peers = Peers::of(places, "flask_hello:application");
    let programs = vec![
        peers.ours(4, 10),
        peers.granian(4, 10),
        peers.weft(4, Some(10)),
        peers.peregrine(4, Some(10)),
    ];
    let load = Load::get(64, PAGE).with_browser_headers();
    Case::load(
        "Flask hello, 4 workers, 10 threads, a browser's headers",
        &load,
        programs,
    )
    .judged(Mode::Free)
    .target(Target::throughput(1.3))
    .target(Target::at_most(
        Figure::P99,
        Against::Named("Granian"),
        0.25,
    ))
    .target(Target::at_most(Figure::P99, Against::Each, 1.0))
}

fn page(name: &str, programs: Vec<Program>) -> Case {
    Case::load(name, &Load::get(64, PAGE), programs)
        .target(Target::throughput(1.0))
        .target(Target::at_most(Figure::P99, Against::Best, 1.0))
}

fn one_connection(places: &Places) -> Case {
    let peers = Peers::of(places, "raw:application");
    let programs = vec![
        peers.ours(1, 10),
        peers.uwsgi(1).named("uWSGI, 1 thread"),
        peers.uwsgi(10).named("uWSGI, 10 threads"),
    ];
    Case::load(
        "one connection, raw WSGI 1 KB, pool of 10 threads",
        &Load::get(1, RAW),
        programs,
    )
    .target(Target::throughput(1.0))
}

fn echo(places: &Places, name: &str, bytes: usize, ratio: f64) -> Case {
    let peers = Peers::of(places, "echo:application");
    let programs = vec![
        peers.ours(1, 10),
        peers.granian(1, 1).named("Granian, 1 thread"),
        peers.granian(1, 10).named("Granian, 10 threads"),
    ];
    Case::load(name, &Load::echo(64, bytes), programs).target(Target::throughput(ratio))
}

/// What of a row is hyper's and the kernel's: shown, and no peer.
fn hyper_alone(places: &Places, name: &str, arguments: &str, load: &Load) -> Case {
    Case::load(name, load, vec![bare_hyper(places).with(arguments)])
}

fn generator(places: &Places) -> Case {
    let peers = Peers::of(places, "generator:application");
    Case::load(
        "generator of 16 × 64 KB",
        &Load::get(64, CHUNKS).in_blocks(16),
        fast_ones(&peers),
    )
    .target(Target::throughput(1.2))
}

fn mixed(places: &Places) -> Case {
    let peers = Peers::of(places, "mixed:application");
    let programs = vec![
        peers.ours(1, 10),
        peers.granian(1, 10),
        peers.weft(1, Some(10)),
        peers.peregrine(1, Some(10)),
        peers.gunicorn(1, 10),
        peers.gunicorn_gevent(),
        peers.waitress(10),
        peers.pyvoy(10),
        peers.uwsgi_router(10),
        peers.uwsgi(10),
    ];
    Case::load(
        "CPU 0.2 ms + sleep 2 ms + CPU 0.2 ms, 10 threads",
        &Load::get(64, RAW),
        programs,
    )
    .target(Target::throughput(1.05))
    .target(Target::at_most(Figure::P99, Against::Best, 0.5))
}

/// Ours with ten threads, and the fast ones of the others with the one thread that is their best where nothing waits.
fn fast_ones(peers: &Peers<'_>) -> Vec<Program> {
    vec![
        peers.ours(1, 10),
        peers.granian(1, 1),
        peers.weft(1, None),
        peers.peregrine(1, None),
        peers.on_the_loop("fastpysgi"),
        peers.on_the_loop("fastwsgi"),
        peers.on_the_loop("bjoern"),
    ]
}

/// The same with those that are far behind: shown once.
fn all(peers: &Peers<'_>) -> Vec<Program> {
    let mut programs = fast_ones(peers);
    programs.extend([
        peers.pyvoy(1),
        peers.gunicorn(1, 1),
        peers.waitress(1),
        peers.uwsgi_router(1),
    ]);
    programs
}
