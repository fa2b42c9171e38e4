//! The checks of what no compiler checks: the words of the project, and the order of its crates, modules and files.

mod arrows;
mod documents;
mod files;
mod finding;
mod graph;
mod heads;
mod package;
mod prose;
mod python;
mod run;
mod source;
mod types;
mod words;

pub(crate) use self::run::{house, words};
