//! A tonic service beside axum routes and a WSGI application, on one port.

fn main() {}
