//! The layers and the server, against hyper and axum.

use super::{
    HELLO,
    peers::{axum, bare_hyper, ours_in_rust},
};
use crate::{
    case::{Case, Group, Mode, Row},
    load::Load,
    places::Places,
    target::Target,
};

pub(super) fn rows(places: &Places) -> Vec<Row> {
    let hello = Load::get(64, HELLO);
    let handler = Case::load(
        "`WsgiHandler`, no pool, hello",
        &hello,
        vec![
            ours_in_rust(places, "handler", 1).named("WsgiHandler"),
            bare_hyper(places),
        ],
    );
    let blocking = [(1, 1.6), (4, 1.5), (10, 1.4)].map(|(threads, ratio)| {
        let why =
            "What axum's documentation says for code that blocks, on the same runtime as ours.";
        Case::load(
            format!("`BlockingLayer`, trivial handler, threads: {threads}"),
            &hello,
            vec![
                ours_in_rust(places, "blocking", threads).named("BlockingLayer"),
                axum(places, "spawn-blocking", threads, why).named("axum, spawn_blocking"),
            ],
        )
        .target(Target::throughput(ratio))
    });
    let router = Case::load(
        "`tower-prefork`, 2 workers, axum router",
        &hello,
        vec![
            ours_in_rust(places, "router", 2).named("tower-prefork"),
            axum(
                places,
                "serve",
                2,
                "axum's own server with one event loop for each core, and TCP_NODELAY as ours.",
            )
            .named("axum::serve"),
        ],
    );
    vec![
        Row {
            number: 1,
            group: Group::Rust,
            against: "bare hyper, the same runtime",
            cases: vec![handler.target(Target::throughput(0.97))],
        },
        Row {
            number: 2,
            group: Group::Rust,
            against: "axum handler with `spawn_blocking`, the same runtime",
            cases: blocking.into(),
        },
        Row {
            number: 3,
            group: Group::Rust,
            against: "`axum::serve`, multi-thread runtime, 2 threads",
            cases: vec![router.judged(Mode::Free).target(Target::throughput(1.15))],
        },
    ]
}
