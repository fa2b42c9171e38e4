//! Certificates that change while a process serves.

use std::time::SystemTime;

use tokio::time::{MissedTickBehavior, interval};
use tower_serve::HttpServer;

use super::WorkerContext;
use crate::certificates::{CHECK, CertificateMonitor};

/// Lets new connections of the server have the certificates that the supervisor sends, or that this process finds itself if it
/// is `alone`.
pub(super) fn follow(worker: &WorkerContext, server: HttpServer, alone: bool) {
    if worker.config().tls.is_none() {
        return;
    }
    let mut certificates = worker.certificates();
    tokio::spawn(async move {
        loop {
            let tls = certificates.borrow_and_update().clone();
            if let Some(tls) = tls
                && let Err(error) = server.set_tls(&tls)
            {
                // They were checked before they were sent.
                tracing::error!(
                    error,
                    "changed certificates cannot be used; the previous ones stay"
                );
            }
            if certificates.changed().await.is_err() {
                break;
            }
        }
    });
    if alone {
        tokio::spawn(monitor(worker.clone()));
    }
}

/// Reads the files when they have changed, and warns before a certificate expires.
async fn monitor(worker: WorkerContext) {
    let mut monitor = CertificateMonitor::new(worker.server());
    monitor.set(worker.config().tls.clone());
    let mut checks = interval(CHECK);
    checks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        checks.tick().await;
        let changed = monitor.check(SystemTime::now());
        if let Some(material) = changed.as_ref().and_then(tower_serve::Tls::material) {
            worker.change_certificates(material.clone());
        }
    }
}
