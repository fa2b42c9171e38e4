//! HTTPS: the certificate of a server.

mod pem;
mod setting;
#[cfg(test)]
pub(crate) mod testing;

pub use setting::Tls;
