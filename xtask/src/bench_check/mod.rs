//! `cargo xtask bench-check`: the instructions of the hot paths, against a baseline that is committed.

mod baseline;
mod compare;
mod count;
mod run;
mod tools;

pub(crate) use self::run::{BenchCheckArgs, run};
