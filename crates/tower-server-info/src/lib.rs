//! What an HTTP server tells a tower service about the client of a request.
//!
//! These are plain types without logic. A server puts them into the extensions of a request, a service or layer looks
//! for them there. One that finds nothing is behind a server that does not set them, and works as usual.

mod client_input;
mod connection;

pub use client_input::ClientInput;
pub use connection::Connection;
