//! A WSGI application in Rust (`examples/wsgi-app`), over sockets: on a pool of threads, and on the event
//! loop.

mod body;
mod deferred;
mod response;

use tests::{Running, program};

/// On this many threads; 0 is the event loop.
fn start(threads: usize, options: &[&str]) -> Running {
    let mut program = program("wsgi-app")
        .args("-b 127.0.0.1:0 -w 1 --thread-workers")
        .arg(threads.to_string());
    for option in options {
        program = program.arg(option);
    }
    program.start()
}

/// Both places.
const PLACES: [usize; 2] = [2, 0];
