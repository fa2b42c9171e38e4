//! The command line of a server: [`Args`], its log, and [`Ctl`], which talks to it while it runs.
//!
//! ```no_run
//! use clap::Parser;
//! use tower_prefork::{Server, cli};
//!
//! #[derive(Parser)]
//! struct Cli {
//!     #[command(flatten)]
//!     server: cli::Args,
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     let cli = Cli::parse();
//!     cli.server.init_logging();
//!     Server::new("shop")
//!         .args(&cli.server)
//! #       .service(|_| async { Ok::<_, tower_prefork::BoxError>(axum::Router::new()) })
//!         // .service(…)
//!         .run()
//! }
//! ```

mod args;
mod log;
mod options;

pub use args::Args;
pub use options::help;

pub use crate::{
    config::log_level,
    operator::Ctl,
    settings::{duration as seconds, mode, size},
};
