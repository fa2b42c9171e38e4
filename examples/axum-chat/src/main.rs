//! A chat by WebSocket, on several workers.
//!
//! A client is connected to one worker. The worker passes what the client says to its own clients through a channel
//! (`room.rs`), and to the other workers through Unix sockets in a directory (`hub.rs`). The handlers are those of any
//! axum service (`chat.rs`), and would run under `axum::serve` as well.
//!
//! Start it:
//!
//! ```text
//! cargo run --release -p axum-chat -- --workers 4
//! ```
//!
//! Open <http://127.0.0.1:8000/> in several windows: each shows its worker, which is often the same one on an idle machine.
//! Then reload the workers:
//!
//! ```text
//! kill -HUP $(pgrep -f 'axum-chat --workers')
//! ```
//!
//! Each client gets a Close frame with code 1001 ("going away"), and the page connects again, to a new worker. What is
//! sent while a page has no connection is shown from the memory of the worker that it connects to next, which has heard it
//! if it was ready by then: a chat that must lose nothing keeps its messages in a database, as `examples/python/django_chat`
//! does.
//!
//! During an upgrade (`SIGUSR2`) the workers of the old and of the new supervisor do not hear each other.

mod chat;
mod hub;
mod room;

use std::process::ExitCode;

use clap::Parser;
use tower_prefork::{Server, WorkerContext, Workers, cli};

use crate::{hub::Hub, room::Room};

#[derive(Parser)]
/// A chat by WebSocket, on several workers
struct Cli {
    #[command(flatten)]
    server: cli::Args,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    cli.server.init_logging();
    Server::new("axum-chat")
        .args(&cli.server)
        // The handlers are asynchronous: they run on the event loop.
        .configure(|config| config.thread_workers = 0)
        .service(|worker| async move {
            let hub = Hub::join(&hub::directory(program(&worker)))?;
            let room = Room::open(hub);
            Ok::<_, tower_prefork::BoxError>(chat::router(room, worker.slot()))
        })
        .run()
}

/// The process id by which the workers of this program find each other: that of their supervisor.
fn program(worker: &WorkerContext) -> u32 {
    match worker.config().workers {
        Workers::Count(0) => std::process::id(),
        _ => std::os::unix::process::parent_id(),
    }
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_well_formed() {
        Cli::command().debug_assert();
    }
}
