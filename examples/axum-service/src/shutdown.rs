//! A graceful stop with a deadline, which `axum::serve` leaves to its caller.

use std::{io, time::Duration};

use axum::Router;
use tokio::{
    net::TcpListener,
    signal::unix::{Signal, SignalKind, signal},
    sync::oneshot,
    time::{Instant, sleep_until},
};
use tower_wsgi::blocking::BlockingPool;

/// Serves until SIGTERM or Ctrl-C, then lets connections and jobs finish within `grace`. A second
/// signal ends the wait.
pub(crate) async fn serve(
    listener: TcpListener,
    app: Router,
    pool: &BlockingPool,
    grace: Duration,
) -> io::Result<()> {
    let mut signals = Signals::new()?;
    let (stop, stopping) = oneshot::channel::<()>();
    let server = axum::serve(listener, app).with_graceful_shutdown(async {
        // An error means that the sender is gone, which is a reason to stop as well.
        let _ = stopping.await;
    });
    let server = tokio::spawn(server.into_future());

    signals.next().await;
    let deadline = Instant::now() + grace;
    let _ = stop.send(());
    tracing::info!(seconds = grace.as_secs(), "stopping");

    // First the connections: while they are open, their requests may still need the pool.
    tokio::select! {
        served = server => served.map_err(io::Error::other)??,
        () = sleep_until(deadline) => tracing::warn!("connections are open at the deadline"),
        () = signals.next() => tracing::warn!("stopped twice: not waiting for open connections"),
    }
    // Then the jobs, some of which may run for clients that have left.
    let left = deadline.saturating_duration_since(Instant::now());
    tokio::select! {
        drained = pool.drain(left) => match drained {
            Ok(()) => tracing::info!("stopped"),
            Err(stats) => tracing::warn!(?stats, "jobs are running at the deadline"),
        },
        () = signals.next() => tracing::warn!("stopped twice: not waiting for running jobs"),
    }
    Ok(())
}

struct Signals {
    interrupt: Signal,
    terminate: Signal,
}

impl Signals {
    fn new() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    async fn next(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
