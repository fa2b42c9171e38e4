//! Certificates that change and expire while a server runs.

mod expiry;
mod monitor;

pub(crate) use expiry::whole_days;
pub(crate) use monitor::{CHECK, CertificateMonitor};
