//! A JSON-RPC service by jsonrpsee beside axum routes and a WSGI application.

fn main() {}
