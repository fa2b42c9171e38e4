//! The native module of the Python package, `tower_wsgi._native`.
//!
//! Its function `command` is the command `tower-wsgi`; `run` serves the callables of a Python program. Both parse the
//! options of `tower-prefork` and run its supervisor. A worker is the same Python program, executed again.

mod application;
mod args;
mod cfg;
mod exit;
mod greenlets;
mod heap;
mod live_server;
mod main_thread;
mod module;
mod pulsar_settings;
mod serve;
mod settings;
mod stdio;
mod tips;
mod wsgi_config;
