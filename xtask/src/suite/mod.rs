//! Suites of tests: which tests failed, what crashed, which were skipped, and whether the run passes.

mod flaky;
mod libtest;
mod notes;
mod verdict;

pub(crate) use flaky::Flaky;
pub(crate) use libtest::Libtest;
pub(crate) use notes::Notes;
pub(crate) use verdict::{Report, Verdict, judge};
