//! The native part of the Python package: `tower_wsgi._native`.
//!
//! `command` is the command `tower-wsgi`; `run` serves callables of a program. Both parse the options of
//! `tower-prefork` and are its server: a worker is the same Python program, started again.

mod args;
mod exit;
mod heap;
mod live;
mod main_thread;
mod module;
mod place;
mod serve;
mod settings;
mod streams;
mod tips;
mod wsgi;
