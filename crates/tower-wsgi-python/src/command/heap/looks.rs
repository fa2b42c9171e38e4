//! What is kept for nothing is given back by and by.

use std::{
    panic::catch_unwind,
    time::{Duration, Instant},
};

use pyo3::prelude::*;

use super::library;

const LOOKS: Duration = Duration::from_secs(10);

/// A look holds the heap's lock: for microseconds, for a millisecond where there are some megabytes to give back, for 60
/// where 50 000 pieces of it are free. So many times as long there is none, up to a limit: on a busy machine a look takes
/// as long as others have the core.
const REST: u32 = 1000;
const LONGEST: Duration = Duration::from_secs(30);

/// Does it for as long as the runtime lives in which it is called.
pub(in crate::command) fn give_back_by_and_by() {
    tokio::spawn(async {
        let mut pause = LOOKS;
        loop {
            tokio::time::sleep(pause).await;
            // tokio panics where the system refuses it a thread.
            let Some(looking) = catch_unwind(|| tokio::task::spawn_blocking(look)).ok() else {
                continue;
            };
            let Ok(took) = looking.await else {
                return;
            };
            pause = (took * REST).clamp(LOOKS, LONGEST);
        }
    });
}

fn look() -> Duration {
    // The bodies that were dropped without the interpreter's lock wait for the next one who has it.
    let _ended = Python::try_attach(|_| ());
    let begun = Instant::now();
    library::give_back();
    begun.elapsed()
}
