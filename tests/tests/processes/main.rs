//! The processes of a server: how they start, share work, die and stop.

mod addresses;
mod cli;
mod death;
mod spread;
mod start;
mod stop;

use tests::Program;

/// A server that misbehaves on request, on a free port unless told otherwise.
fn probe(arguments: &str) -> Program {
    let program = Program::new(env!("CARGO_BIN_EXE_probe")).args(arguments);
    if arguments.contains("-b ") {
        program
    } else {
        program.args("-b 127.0.0.1:0")
    }
}
