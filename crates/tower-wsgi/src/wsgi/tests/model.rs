//! Random applications against a simple model of PEP 3333.

use std::sync::LazyLock;

use futures_util::stream::poll_fn;
use proptest::prelude::*;
use tokio::runtime::{Builder, Runtime};

use super::*;

/// What an application does before it returns, or before it gives a piece.
#[derive(Clone, Debug)]
enum Step {
    Start(u16, Option<usize>),
    Restart(u16, Option<usize>),
    Write(usize),
}

/// What an application gives.
#[derive(Clone, Debug)]
enum Given {
    Piece(usize),
    Error,
}

#[derive(Clone, Debug)]
struct Script {
    call: Vec<Step>,
    pieces: Vec<(Vec<Step>, Given)>,
}

fn step() -> impl Strategy<Value = Step> {
    let length = || prop::option::of(1_usize..12);
    prop_oneof![
        4 => (200_u16..203, length()).prop_map(|(status, length)| Step::Start(status, length)),
        1 => (500_u16..503, length()).prop_map(|(status, length)| Step::Restart(status, length)),
        2 => (0_usize..6).prop_map(Step::Write),
    ]
}

fn script() -> impl Strategy<Value = Script> {
    let given = prop_oneof![
        6 => (0_usize..6).prop_map(Given::Piece),
        1 => Just(Given::Error),
    ];
    let steps = || prop::collection::vec(step(), 0..3);
    let pieces = prop::collection::vec((steps(), given), 0..5);
    (steps(), pieces).prop_map(|(call, pieces)| Script { call, pieces })
}

/// The same bytes wherever they come from, so that their order can be seen.
fn bytes(from: usize, count: usize) -> String {
    (from..from + count)
        .map(|n| char::from(b'a' + u8::try_from(n % 26).unwrap()))
        .collect()
}

/// Plays a script.
struct Player {
    start_response: StartResponse,
    write: Option<Write>,
    given: usize,
}

impl Player {
    fn play(&mut self, steps: &[Step]) {
        for step in steps {
            let head = |status: u16, length: Option<usize>| {
                let length = length.map(|length| ("content-length", length.to_string()));
                (format!("{status} Status"), length)
            };
            match *step {
                Step::Start(status, length) => {
                    let (status, headers) = head(status, length);
                    let started = self.start_response.start(status, headers);
                    self.write = started.ok().or(self.write.take());
                }
                Step::Restart(status, length) => {
                    let (status, headers) = head(status, length);
                    let error: BoxError = "it failed".into();
                    let started = self.start_response.restart(status, headers, error);
                    self.write = started.ok().or(self.write.take());
                }
                Step::Write(count) => {
                    if let Some(write) = &self.write {
                        let _ = write.write(bytes(self.given, count));
                        self.given += count;
                    }
                }
            }
        }
    }

    fn give(&mut self, steps: &[Step], given: &Given) -> Piece {
        self.play(steps);
        match *given {
            Given::Error => Err("it failed".into()),
            Given::Piece(count) => {
                let text = bytes(self.given, count);
                self.given += count;
                Ok(Bytes::from(text))
            }
        }
    }
}

fn application(script: Script) -> impl Application {
    move |_: Environ, start_response: StartResponse| {
        let mut player = Player {
            start_response,
            write: None,
            given: 0,
        };
        player.play(&script.call);
        let pieces = script.pieces.clone().into_iter();
        Ok::<_, BoxError>(pieces.map(move |(steps, given)| player.give(&steps, &given)))
    }
}

/// The same, as a deferred response: each piece is pending first.
fn deferring(script: Script) -> impl Application {
    move |_: Environ, start_response: StartResponse| {
        let mut player = Player {
            start_response: start_response.clone(),
            write: None,
            given: 0,
        };
        player.play(&script.call);
        let mut pieces = script.pieces.clone().into_iter();
        let mut waits = true;
        Ok::<_, BoxError>(start_response.defer(poll_fn(move |cx| {
            waits = !waits;
            if waits {
                let piece = pieces.next();
                return Poll::Ready(piece.map(|(steps, given)| player.give(&steps, &given)));
            }
            cx.waker().wake_by_ref();
            Poll::Pending
        })))
    }
}

/// What PEP 3333 says that the client sees.
#[derive(Default)]
struct Model {
    head: Option<(u16, Option<usize>)>,
    given: usize,
}

impl Model {
    fn steps(&mut self, steps: &[Step]) {
        for step in steps {
            match *step {
                Step::Start(status, length) if self.head.is_none() => {
                    self.head = Some((status, length));
                }
                Step::Restart(status, length) if self.given == 0 => {
                    self.head = Some((status, length));
                }
                Step::Start(..) | Step::Restart(..) => {}
                Step::Write(count) if self.head.is_some() => self.given += count,
                Step::Write(_) => {}
            }
        }
    }

    fn is_complete(&self) -> bool {
        let length = self.head.and_then(|(_, length)| length);
        self.given > 0 && length.is_some_and(|length| self.given >= length)
    }

    /// The status, and the whole body or the part of it that is sent.
    fn see(mut self, script: &Script) -> (u16, Result<String, String>) {
        const FAILED: (u16, Result<String, String>) = (500, Ok(String::new()));
        self.steps(&script.call);
        let mut fails = false;
        for (steps, given) in &script.pieces {
            if self.is_complete() {
                break;
            }
            self.steps(steps);
            match given {
                Given::Error => {
                    fails = !self.is_complete();
                    break;
                }
                Given::Piece(count) if *count > 0 && self.head.is_none() => return FAILED,
                Given::Piece(count) => self.given += count,
            }
        }
        let Some((status, length)) = self.head else {
            return FAILED;
        };
        let sent = bytes(0, self.given.min(length.unwrap_or(usize::MAX)));
        fails |= length.is_some_and(|length| length > self.given);
        match (fails, self.given) {
            (true, 0) => FAILED,
            (true, _) => (status, Err(sent)),
            (false, _) => (status, Ok(sent)),
        }
    }
}

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| {
    let mut builder = Builder::new_multi_thread();
    builder.worker_threads(1).enable_all().build().unwrap()
});

proptest! {
    #[test]
    fn the_client_sees_what_pep_3333_says(script in script()) {
        let chunks = RUNTIME.block_on(get(application(script.clone())));
        let deferred = RUNTIME.block_on(get(deferring(script.clone())));
        let (status, body) = Model::default().see(&script);
        for seen in [chunks, deferred] {
            prop_assert_eq!(seen.status, status);
            if status == 500 && seen.headers.contains_key("content-type") {
                // The server's own page.
                prop_assert_eq!(&body, &Ok(String::new()));
            } else {
                prop_assert_eq!(&seen.body, &body);
            }
        }
    }
}
