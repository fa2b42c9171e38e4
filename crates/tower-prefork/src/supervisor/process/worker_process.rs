//! A worker process: its start, its state, and what is awaited from it.

use std::{
    collections::VecDeque,
    io,
    num::NonZeroI32,
    os::fd::{AsFd, OwnedFd},
    sync::Arc,
};

use rustix::process::Pid;
use tokio::{
    process::Child,
    sync::watch,
    time::{Instant, sleep_until},
};

use super::ProcessUpdate;
use crate::{
    config::Config,
    control::{Channel, Socket, ToSupervisor, ToWorker, WorkerStats},
    error::Reason,
    hooks::{ProcessEvent, ProcessStep},
    listener::{Bound, Listener, LocalAddress, passed_bits, redirect_bits},
    supervisor::server_state::ServerState,
    system::Title,
};

/// One worker process, from its start to its end.
#[derive(Debug)]
pub(in crate::supervisor) struct Process {
    pub(super) server: Arc<ServerState>,
    pub(super) slot: usize,
    pub(super) child: Child,
    pub(super) pid: Pid,
    pub(super) channel: Channel<ToSupervisor>,
    /// The settings that it was started with.
    pub(super) config: Arc<Config>,
    /// The addresses of its listeners.
    pub(super) addresses: Vec<LocalAddress>,
    pub(super) started: Instant,
    pub(super) phase: ProcessPhase,
    /// The deadline of the phase.
    pub(super) deadline: Instant,
    pub(super) ready_since: Option<Instant>,
    /// The end of its lifetime.
    pub(super) expiry: Option<Instant>,
    /// Whether its slot knows that it is to be recycled.
    pub(super) is_recycled: bool,
    /// The updates that its slot has not received yet.
    pub(super) updates: VecDeque<ProcessUpdate>,
    pub(super) stats: WorkerStats,
    pub(super) cut: Option<usize>,
    pub(super) reason: Option<Reason>,
    pub(super) oom_kills_before: u64,
    /// Whether the program is going to stop. `None` when the worker knows.
    pub(super) stopping: Option<watch::Receiver<bool>>,
    /// Changes when the worker is to open its log files again.
    pub(super) reopened: watch::Receiver<()>,
    /// Changes when the worker is to use other certificates.
    pub(super) certificates: watch::Receiver<()>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum ProcessPhase {
    Starting,
    Ready,
    Draining,
    Aborting,
    Killed,
}

impl Process {
    /// Starts a worker and sends it its listeners.
    pub(in crate::supervisor) fn start(server: &Arc<ServerState>, slot: usize) -> io::Result<Self> {
        let setup = server.setup();
        let bound = setup.bound.upgrade().ok_or(io::ErrorKind::NotConnected)?;
        let (socket, theirs) = Socket::pair()?;
        let certificates = certificates_of(&setup.config)?;
        let start = ToWorker::Start {
            server: server.name.clone(),
            slot,
            config: setup.config.to_message(),
            passed: passed_bits(&bound.listeners),
            redirects: redirect_bits(&bound.listeners),
            certificates: certificates.is_some(),
        };
        let listeners = bound.listeners.iter().map(AsFd::as_fd);
        let fds: Vec<_> = listeners
            .chain(certificates.as_ref().map(AsFd::as_fd))
            .collect();
        // Before the process exists, so that nothing that happens to it can make this fail.
        socket.send(&start, &fds)?;
        let channel = Channel::new(socket)?;
        let title = Title::worker(&server.name, slot);
        let oom_kills_before = server.oom_kills.count();
        let child = server.program.start_worker(&title, theirs)?;
        let pid = child.id().and_then(|id| Pid::from_raw(id.cast_signed()));
        let this = Self {
            server: server.clone(),
            slot,
            child,
            pid: pid.ok_or_else(|| io::Error::other("the process has no id"))?,
            channel,
            addresses: addresses(&bound),
            started: Instant::now(),
            phase: ProcessPhase::Starting,
            deadline: Instant::now() + setup.config.start_timeout,
            config: setup.config,
            ready_since: None,
            expiry: None,
            is_recycled: false,
            updates: VecDeque::new(),
            stats: WorkerStats::default(),
            cut: None,
            reason: None,
            oom_kills_before,
            stopping: Some(server.stopping()),
            reopened: server.reopened(),
            certificates: server.certificates(),
        };
        this.report(ProcessStep::Started);
        Ok(this)
    }

    /// Calls the hooks of a step.
    pub(super) fn report(&self, step: ProcessStep<'_>) {
        self.server.hooks.call(ProcessEvent {
            server: &self.server.name,
            slot: self.slot,
            pid: self.pid().get(),
            step,
        });
    }

    pub(in crate::supervisor) fn ready_since(&self) -> Option<Instant> {
        self.ready_since
    }

    pub(in crate::supervisor) fn pid(&self) -> NonZeroI32 {
        self.pid.as_raw_nonzero()
    }

    /// The number of its threads for blocking work.
    pub(in crate::supervisor) fn threads(&self) -> usize {
        self.config.thread_workers
    }

    /// The next update. It must not be called after the end of the process. It is cancel safe.
    pub(in crate::supervisor) async fn next(&mut self) -> ProcessUpdate {
        loop {
            if let Some(update) = self.updates.pop_front() {
                return update;
            }
            let expiry = self.expiry.unwrap_or(self.deadline);
            tokio::select! {
                biased;
                message = self.channel.recv() => self.receive(message),
                status = self.child.wait() => return ProcessUpdate::Ended(self.ended(status)),
                () = sleep_until(self.deadline), if self.phase != ProcessPhase::Killed => self.deadline_reached(),
                () = sleep_until(expiry), if self.expiry.is_some() => self.expired(),
                Ok(()) = self.reopened.changed() => {
                    // A worker that misses the message notices later that the file was moved.
                    let _ = self.channel.send(&ToWorker::ReopenLogs);
                }
                Ok(()) = self.certificates.changed() => self.send_certificates(),
                () = stopping(&mut self.stopping) => {
                    self.stopping = None;
                    // A worker that misses the message does not serve, either.
                    let _ = self.channel.send(&ToWorker::NotReady);
                }
            }
        }
    }
}

impl Process {
    /// Sends it the certificates of the current settings.
    #[cfg_attr(
        not(feature = "tls"),
        expect(clippy::unused_self, reason = "without TLS there are none")
    )]
    fn send_certificates(&self) {
        #[cfg(feature = "tls")]
        {
            let sent = certificates_of(&self.server.config()).and_then(|file| match file {
                Some(file) => (self.channel).send_with(&ToWorker::Certificates, file.as_fd()),
                None => Ok(()),
            });
            if let Err(error) = sent {
                let (server, slot) = (&self.server.name, self.slot);
                tracing::warn!(
                    server, slot, %error,
                    "cannot send certificates to a worker, which keeps the previous ones until it is replaced"
                );
            }
        }
    }
}

/// A file with the certificates of these settings, for one worker, if there are any.
fn certificates_of(config: &Config) -> io::Result<Option<OwnedFd>> {
    #[cfg(feature = "tls")]
    if let Some(material) = config.tls.as_ref().and_then(tower_serve::Tls::material) {
        return crate::control::write_certificates(material).map(Some);
    }
    let Config { .. } = config;
    Ok(None)
}

/// The addresses of the listeners.
pub(super) fn addresses(bound: &Bound) -> Vec<LocalAddress> {
    let listeners = bound.listeners.iter();
    listeners.map(Listener::local).cloned().collect()
}

/// Waits until the program is going to stop.
async fn stopping(stopping: &mut Option<watch::Receiver<bool>>) {
    match stopping {
        // The sender lives as long as the process.
        Some(stopping) => drop(stopping.wait_for(|stopping| *stopping).await),
        None => std::future::pending().await,
    }
}
