//! A guest book on SQLite, written as plain blocking code.
//!
//! ```text
//! cargo run --release -p standalone -- --workers 4 --thread-workers 10
//!
//! curl http://127.0.0.1:8000/                                          the page
//! curl -d 'name=Ada' -d 'message=Good morning' http://127.0.0.1:8000/  a new entry
//! curl -T large.file -X POST http://127.0.0.1:8000/upload              its length and SHA-256
//! curl 'http://127.0.0.1:8000/sleep?ms=500'                            blocks a thread
//! curl http://127.0.0.1:8000/health                                    takes no thread
//! ```
//!
//! With `--control-socket guestbook.ctl`, the same program controls the running one:
//! `standalone ctl status --control-socket guestbook.ctl`.
//!
//! The code of the guest book (`app`) blocks: it reads bodies as files and waits for the
//! database. `service` puts the layers around it, and `tower_prefork` runs it in four processes.

mod app;
mod form;
mod options;
mod page;
mod service;
mod store;
mod upload;

use std::process::ExitCode;

use clap::Parser as _;
use tower_prefork::{Server, WorkerContext};

use crate::options::{Command, Options};

fn main() -> ExitCode {
    let options = Options::parse();
    if let Some(Command::Ctl(ctl)) = &options.command {
        return ctl.run();
    }
    options.server.init_logging();
    Server::new("guest-book")
        .args(&options.server)
        .service(move |worker: WorkerContext| async move { service::build(&worker, &options) })
        .run()
}
