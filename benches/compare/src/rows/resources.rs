//! The cost of the access log, of connections, of memory and of the start.

use super::{
    HELLO,
    peers::{Peers, bare_hyper, prefork},
};
use crate::{
    case::{Case, Contender, Group, Kind, Mode, Row},
    load::Load,
    places::Places,
    program::Program,
    target::{Against, Bound, Figure, Target},
};

pub(super) fn rows(places: &Places) -> Vec<Row> {
    let row = |number, against, cases| Row {
        number,
        group: Group::Resources,
        against,
        cases,
    };
    let ours = many("4 000 active connections", &prefork(places, 1));
    // What of it is hyper's and the kernel's.
    let theirs = many("4 000 active connections, bare hyper", &bare_hyper(places));
    let many = vec![ours.target(Target::throughput(0.8)), theirs];
    vec![
        row(12, "off", access_log(places)),
        row(13, "bare hyper", vec![idle(places)]),
        row(14, "the same at 64", many),
        row(15, "bare hyper binary, gunicorn's worker", memory(places)),
        row(16, "–, gunicorn", start(places)),
    ]
}

fn access_log(places: &Places) -> Vec<Case> {
    let rust = prefork(places, 1);
    let python = Peers::of(places, "raw:application").ours(1, 10);
    let log = |name| format!("--access-log {}", places.logs.join(name).display());
    let case = |name: &str, response, on, off| {
        Case::load(name, &Load::get(64, response), vec![on, off]).target(Target::throughput(0.97))
    };
    vec![
        case(
            "access log on, Rust",
            HELLO,
            rust.clone().with(&log("rust-access")).named("on"),
            rust.named("off"),
        ),
        case(
            "access log on, Python, 10 threads",
            &[b'x'; 1024],
            python.clone().with(&log("python-access")).named("on"),
            python.named("off"),
        ),
    ]
}

fn idle(places: &Places) -> Case {
    let programs = vec![prefork(places, 1), bare_hyper(places)];
    Case::load(
        "10 000 idle keep-alive connections",
        &Load::get(10_000, HELLO),
        programs,
    )
    .kind(Kind::Idle)
    .target(Target::at_most(Figure::PerConnection, Against::Each, 1.1))
}

fn many(name: &str, program: &Program) -> Case {
    let few = Contender {
        program: program.clone().named("64 connections"),
        load: Load::get(64, HELLO),
    };
    let many = Contender {
        program: program.clone().named("4 000 connections"),
        load: Load::get(4000, HELLO),
    };
    Case {
        name: name.to_owned(),
        kind: Kind::Load,
        judged: Mode::Pinned,
        in_both_modes: true,
        targets: Vec::new(),
        contenders: vec![many, few],
    }
}

fn memory(places: &Places) -> Vec<Case> {
    let raw = Peers::of(places, "raw:application");
    let at_most = Target::at_most(Figure::Rss, Against::Each, 1.2);
    let rust = vec![prefork(places, 1), bare_hyper(places)];
    let python = vec![raw.ours(1, 10), raw.gunicorn(1, 10)];
    vec![
        Case::load("an idle worker in Rust", &Load::get(1, HELLO), rust)
            .kind(Kind::Memory)
            .target(at_most),
        Case::load(
            "an idle worker in Python",
            &Load::get(1, &[b'x'; 1024]),
            python,
        )
        .kind(Kind::Memory)
        .target(at_most),
    ]
}

fn start(places: &Places) -> Vec<Case> {
    let raw = Peers::of(places, "raw:application");
    let rust = vec![prefork(places, 4)];
    let python = vec![raw.ours(4, 10), raw.gunicorn(4, 10)];
    vec![
        Case::load(
            "start to first response, 4 workers, Rust",
            &Load::get(1, HELLO),
            rust,
        )
        .kind(Kind::Start)
        .judged(Mode::Free)
        .target(Target {
            figure: Figure::Start,
            against: Against::None,
            bound: Bound::AtMost(100.0),
        }),
        Case::load(
            "start to first response, 4 workers, Python",
            &Load::get(1, &[b'x'; 1024]),
            python,
        )
        .kind(Kind::Start)
        .judged(Mode::Free)
        .target(Target::at_most(Figure::Start, Against::Each, 1.0)),
    ]
}
