//! Two applications under one supervisor: a public site, and a page for its operator.
//!
//! The site serves the files of a directory. Reading files blocks, so it is a `WsgiHandler` on a pool
//! (`site.rs`). The operator's application is a plain asynchronous axum `Router`, and shows the
//! resources of this program's processes (`admin.rs`). Each has its own address, workers and threads: the
//! operator's page works even if the site is overloaded or crashes.
//!
//! Start it:
//!
//! ```text
//! cargo run --release -p two-apps -- --workers 2 --root .
//! ```
//!
//! Try it:
//!
//! ```text
//! curl http://127.0.0.1:8000/
//! curl -i http://127.0.0.1:8000/README.md
//! curl -i -H 'Accept: application/json' http://127.0.0.1:8000/nothing
//! curl http://127.0.0.1:8001/health
//! curl http://127.0.0.1:8001/processes
//! kill -9 PID                    # of a worker, from that list: it is replaced, and the log says why
//! ```
//!
//! Ctrl-C or `kill` stops both gracefully.

mod admin;
mod site;

use std::{path::PathBuf, process::ExitCode};

use clap::Parser;
use tower_prefork::{BoxError, Server, Supervisor, WorkerContext, Workers, cli};
use tower_wsgi::blocking::BlockingPool;

#[derive(Parser)]
/// A public site of files, and a page for its operator
///
/// The options under "Server" are those of the public site; timeouts, limits and the log apply to both.
struct Cli {
    /// Directory whose files are served, without its subdirectories and hidden files
    #[arg(long, value_name = "DIRECTORY", default_value = ".")]
    root: PathBuf,

    /// Address of the operator's application, with the syntax of --bind. Every client that reaches it can
    /// read it
    #[arg(long, value_name = "ADDRESS", default_value = "127.0.0.1:8001")]
    admin_bind: String,

    /// Number of worker processes of the operator's application; 0 if --workers is 0
    #[arg(long, value_name = "NUMBER", default_value = "1")]
    admin_workers: Workers,

    #[command(flatten)]
    server: cli::Args,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    cli.server.init_logging();

    let root = cli.root;
    let site = Server::new("site")
        .args(&cli.server)
        .service(|worker| async move {
            name_process(&worker);
            let threads = worker.config().thread_workers;
            if threads == 0 {
                return Err("the site reads files: give --thread-workers 1 or more".into());
            }
            let pool = BlockingPool::new(threads);
            worker.monitor(&pool);
            site::handler(&pool, root)
        });
    let admin = Server::new("admin")
        .args(&cli.server)
        .configure(move |config| {
            config.bind = vec![cli.admin_bind.clone()];
            config.workers = cli.admin_workers;
            // It is asynchronous: it runs on the event loop.
            config.thread_workers = 0;
        })
        .service(|worker| async move {
            name_process(&worker);
            Ok::<_, BoxError>(admin::router(worker.config().workers))
        });
    Supervisor::new().server(site).server(admin).run()
}

/// Shows which worker this is in `ps -A`, `top` and `/processes`.
fn name_process(worker: &WorkerContext) {
    let name = format!("{}-{}", worker.server(), worker.slot());
    if let Err(error) = std::fs::write("/proc/self/comm", name) {
        tracing::warn!(%error, "cannot name the process");
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
