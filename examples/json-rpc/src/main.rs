//! A JSON-RPC service by jsonrpsee beside axum routes and a WSGI application, on several workers.
//!
//! `/rpc` is jsonrpsee's tower service with the methods of `methods.rs`. Those that compute run on the threads of the
//! pool, which the WSGI application (`page.rs`) uses, too; it responds to all other paths. `/health` is an axum route.
//! jsonrpsee responds to a notification with `null`.
//!
//! Start it:
//!
//! ```text
//! cargo run --release -p json-rpc -- --workers 2 --thread-workers 4
//! ```
//!
//! Try it:
//!
//! ```text
//! call() { curl -H 'Content-Type: application/json' http://127.0.0.1:8000/rpc -d "$1"; }
//! call '{"jsonrpc": "2.0", "method": "math.divide", "params": [7, 2], "id": 1}'
//! call '{"jsonrpc": "2.0", "method": "math.divide", "params": [7, 0], "id": 2}'    # an error of the method
//! call '{"jsonrpc": "2.0", "method": "math.primes", "params": [5000000], "id": 3}' # on a thread
//! call '[{"jsonrpc": "2.0", "method": "worker", "id": 4}, {"jsonrpc": "2.0", "method": "worker"}]'
//! curl http://127.0.0.1:8000/                                                      # the WSGI application
//! ```

mod methods;
mod page;
mod service;

use std::process::ExitCode;

use clap::Parser;
use tower_prefork::{Server, cli};

#[derive(Parser)]
/// A JSON-RPC service beside axum routes and a WSGI application
struct Cli {
    #[command(flatten)]
    server: cli::Args,
}

fn main() -> ExitCode {
    let cli = Cli::parse();
    cli.server.init_logging();
    Server::new("json-rpc")
        .args(&cli.server)
        .service(|worker| async move { service::build(&worker) })
        .run()
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
