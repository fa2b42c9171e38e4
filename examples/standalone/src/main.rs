//! A guest book on SQLite, written as plain blocking code.

mod app;
mod form;
mod page;
mod store;
mod upload;

fn main() {}
