//! Awaited responses and WebSocket connections, compared with ASGI servers, with greenlets and with axum.

use super::peers::{Peers, axum, ours_in_rust};
use crate::{
    case::{Case, Group, Kind, Mode, Row},
    load::Load,
    places::Places,
    program::Program,
    target::{Against, Figure, Target},
};

const PAGE: &[u8] = &[b'x'; 1024];

/// The length of a message, which is about that of a line of a chat.
const MESSAGE: usize = 100;

/// The number of idle connections.
const IDLE: usize = 1000;

pub(super) fn rows(places: &Places) -> Vec<Row> {
    let row = |number, against, cases| Row {
        number,
        group: Group::Asynchronous,
        against,
        cases,
    };
    vec![
        row(
            17,
            "Granian, weft and uvicorn in ASGI",
            vec![
                awaited(
                    "`async def`, 1 KB at once, 1 worker",
                    64,
                    places,
                    ["awaits:hello", "awaits:asgi_hello"],
                ),
                awaited(
                    "`async def`, 1 KB after 50 ms, 900 connections, 1 worker",
                    900,
                    places,
                    ["awaits:sleeps", "awaits:asgi_sleeps"],
                )
                .in_one_mode()
                .target(Target::at_most(Figure::Rss, Against::Each, 1.0)),
            ],
        ),
        row(
            18,
            "the best of gunicorn with gevent, Granian, weft and uvicorn; for a socket, gunicorn with flask-sock",
            vec![
                echo("WebSocket echo, with events, 1 worker", with_events(places)),
                echo(
                    "WebSocket echo, with a socket, 1 worker",
                    with_a_socket(places, 100),
                )
                .in_one_mode(),
                idle("1000 idle WebSockets with events", with_events(places), 1.0),
                idle(
                    "1000 idle WebSockets with a socket",
                    with_a_socket(places, IDLE),
                    1.0,
                ),
            ],
        ),
        row(
            19,
            "`axum::serve`, multi-thread runtime, 2 threads",
            vec![
                Case::load(
                    "`tower-prefork`, 2 workers, axum's `ws`, echo",
                    &Load::messages(64, MESSAGE),
                    rust(places),
                )
                .judged(Mode::Free)
                .target(Target::throughput(0.95)),
                idle("1000 idle WebSockets, axum's `ws`", rust(places), 1.05),
            ],
        ),
    ]
}

/// `applications` are those for WSGI and for ASGI.
fn awaited(
    name: &str,
    connections: usize,
    places: &Places,
    applications: [&'static str; 2],
) -> Case {
    let [wsgi, asgi] = applications.map(|application| Peers::of(places, application));
    let programs = vec![
        wsgi.ours(1, 10),
        asgi.granian_asynchronous("asginl"),
        asgi.weft_asgi(),
        asgi.uvicorn(),
    ];
    Case::load(name, &Load::get(connections, PAGE), programs)
        .target(Target::throughput(1.0))
        .target(Target::at_most(Figure::P99, Against::Best, 1.0))
}

fn echo(name: &str, programs: Vec<Program>) -> Case {
    Case::load(name, &Load::messages(64, MESSAGE), programs).target(Target::throughput(1.0))
}

fn idle(name: &str, programs: Vec<Program>, ratio: f64) -> Case {
    Case::load(name, &Load::messages(IDLE, MESSAGE), programs)
        .kind(Kind::Idle)
        .target(Target::at_most(Figure::PerConnection, Against::Each, ratio))
}

fn with_events(places: &Places) -> Vec<Program> {
    let asgi = Peers::of(places, "websocket_asgi:application");
    vec![
        Peers::of(places, "websocket_events:application").ours_with_events(),
        asgi.granian_asynchronous("asginl"),
        Peers::of(places, "websocket_rsgi:application").granian_asynchronous("rsgi"),
        asgi.weft_asgi(),
        asgi.uvicorn(),
        Peers::of(places, "websocket_gevent:application").gunicorn_gevent_websocket(),
    ]
}

/// flask-sock, with at most this number of threads.
fn with_a_socket(places: &Places, threads: usize) -> Vec<Program> {
    let flask = Peers::of(places, "websocket_flask:application");
    vec![
        flask.ours_with_sockets(threads),
        flask.gunicorn_gevent_flask_sock(),
        flask.gunicorn(1, threads),
    ]
}

/// Each has two event loops.
fn rust(places: &Places) -> Vec<Program> {
    let why = "axum's own server with one event loop for each core, and TCP_NODELAY as ours.";
    vec![
        ours_in_rust(places, "websocket", 2).named("tower-prefork"),
        axum(places, "websocket", 2, why).named("axum::serve"),
    ]
}
