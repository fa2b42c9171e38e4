//! HTTPS: certificates of the server and of its clients, tickets, and the configuration of handshakes.

mod client_auth;
mod handshakes;
mod key;
mod material;
mod pair;
mod places;
mod resolver;
mod setting;
mod summary;
#[cfg(test)]
pub(crate) mod testing;
mod tickets;
mod x509;

pub(crate) use client_auth::session_info;
pub(crate) use handshakes::Handshakes;
pub use material::TlsMaterial;
pub use places::FileStates;
pub use setting::{ClientAuth, Tls, TlsVersion};
pub use summary::CertificateSummary;
pub use tickets::TicketKeys;
