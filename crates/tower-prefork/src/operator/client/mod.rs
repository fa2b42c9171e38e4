//! The command that talks to a running program.

mod ask;
mod command;
mod output;
mod table;
mod terminal;
mod top;

pub use command::Ctl;
