//! How a program reports what it is doing: to its own code, to the service manager, and in the log.

use std::{
    env, fmt,
    future::pending,
    io,
    os::{
        linux::net::SocketAddrExt,
        unix::{
            ffi::OsStrExt,
            net::{SocketAddr, UnixDatagram},
        },
    },
    process,
    sync::Arc,
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};
use tokio::time::sleep;

use crate::phase::{Phase, Phases};

/// The environment variable with the address of the service manager. Only the supervisor sends to it.
pub(crate) const NOTIFY_SOCKET: &str = "NOTIFY_SOCKET";

/// The environment variables with the watchdog's interval, and with the process that feeds it.
pub(crate) const WATCHDOG_USEC: &str = "WATCHDOG_USEC";
pub(crate) const WATCHDOG_PID: &str = "WATCHDOG_PID";

/// Reports the [`Phase`] of the program to the program's own code and to the service manager. Clones share it.
#[derive(Clone, Debug)]
pub(crate) struct Announcer {
    phases: Phases,
    manager: Arc<ServiceManager>,
}

impl Announcer {
    /// For the main process of the program.
    pub(crate) fn of_program(phases: Phases) -> Self {
        let manager = Arc::new(ServiceManager::of_environment());
        Self { phases, manager }
    }

    /// For a process that does not report to the service manager.
    pub(crate) fn within(phases: Phases) -> Self {
        let manager = Arc::default();
        Self { phases, manager }
    }

    /// One that reports to these as well.
    pub(crate) fn with<'a>(&self, others: impl IntoIterator<Item = &'a Phases>) -> Self {
        Self {
            phases: self.phases.clone().with(others),
            manager: self.manager.clone(),
        }
    }

    pub(crate) fn announce(&self, phase: Phase) {
        if self.phases.set(phase) {
            self.manager.phase(phase);
        }
    }

    /// Reports that the program is ready, if it was starting.
    pub(crate) fn started(&self) {
        if self.phases.started() {
            self.manager.phase(Phase::Ready);
        }
    }

    /// Reports that this process takes over from the one that the service manager has started.
    pub(crate) fn take_over(&self) {
        self.manager.main_process();
    }

    /// Drains because another process has taken over, which the service manager does not take for a stop.
    pub(crate) fn leave(&self) {
        self.phases.set(Phase::Draining);
    }

    /// Feeds the watchdog of the service manager once, and waits until the next time. Pends for ever without a watchdog.
    pub(crate) async fn alive(&self) {
        let Some(time) = self.manager.watchdog() else {
            return pending().await;
        };
        self.manager.alive();
        sleep(time).await;
    }
}

/// Logs where a server listens, and that it is ready.
pub(crate) fn log_ready(server: &str, addresses: impl IntoIterator<Item = String>, workers: usize) {
    for address in addresses {
        tracing::info!(server, %address, "listening");
    }
    tracing::info!(server, workers, "ready");
}

/// Logs that the program is going to stop after the delay.
pub(crate) fn log_shutdown_delay(delay: Duration) {
    tracing::info!(
        delay_s = delay.as_secs_f64(),
        "stopping after the delay; until then requests are served and readiness is off"
    );
}

/// Logs that the program stops within this time.
pub(crate) fn log_stopping(left: Duration) {
    tracing::info!(
        deadline_s = left.as_secs_f64(),
        "stopping; running requests may finish until the deadline"
    );
}

/// Logs how many requests a stop has cut.
pub(crate) fn log_cut(requests: usize) {
    if requests > 0 {
        tracing::warn!(requests, "requests were cut before they completed");
    }
}

/// The service manager that has started the program, for example systemd: the messages of `sd_notify`.
#[derive(Debug, Default)]
struct ServiceManager {
    socket: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl ServiceManager {
    /// The one that the environment names, if any.
    fn of_environment() -> Self {
        let Some(address) = env::var_os(NOTIFY_SOCKET) else {
            return Self::default();
        };
        let socket = match open(address.as_bytes()) {
            Ok(socket) => socket,
            Err(error) => {
                tracing::warn!(%error, ?address, "cannot notify the service manager");
                return Self::default();
            }
        };
        let variable = |name| env::var(name).ok();
        let watchdog = watchdog(variable(WATCHDOG_USEC), variable(WATCHDOG_PID));
        Self {
            socket: Some(socket),
            watchdog,
        }
    }

    /// The interval at which [`alive`](Self::alive) is to be called.
    fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// The program has entered this phase.
    fn phase(&self, phase: Phase) {
        match phase {
            Phase::Starting | Phase::Stopped => {}
            Phase::Ready => self.notify(format_args!("READY=1\nSTATUS=ready")),
            Phase::Reloading => {
                let now = clock_gettime(ClockId::Monotonic);
                let micros = now.tv_sec * 1_000_000 + now.tv_nsec / 1000;
                self.notify(format_args!(
                    "RELOADING=1\nMONOTONIC_USEC={micros}\nSTATUS=reloading"
                ));
            }
            Phase::Stopping => self.notify(format_args!(
                "STOPPING=1\nSTATUS=stopping: still serving, no longer ready"
            )),
            Phase::Draining => self.notify(format_args!("STOPPING=1\nSTATUS=stopping: draining")),
        }
    }

    /// This process is the main process from now on.
    fn main_process(&self) {
        self.notify(format_args!("MAINPID={}", process::id()));
    }

    /// Feeds the watchdog.
    fn alive(&self) {
        self.notify(format_args!("WATCHDOG=1"));
    }

    fn notify(&self, what: fmt::Arguments<'_>) {
        let Some((socket, address)) = &self.socket else {
            return;
        };
        if let Err(error) = socket.send_to_addr(what.to_string().as_bytes(), address) {
            tracing::debug!(%error, "the service manager cannot be notified");
        }
    }
}

fn open(address: &[u8]) -> io::Result<(UnixDatagram, SocketAddr)> {
    let address = match address {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        path => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(path))?,
    };
    let socket = UnixDatagram::unbound()?;
    // It must not block the supervisor.
    socket.set_nonblocking(true)?;
    Ok((socket, address))
}

/// Half of the watchdog's timeout, if this process feeds it.
fn watchdog(micros: Option<String>, pid: Option<String>) -> Option<Duration> {
    if pid.is_some_and(|pid| pid != process::id().to_string()) {
        return None;
    }
    let micros = micros?.parse().ok().filter(|micros| *micros > 1)?;
    Some(Duration::from_micros(micros) / 2)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_watchdog_is_fed_at_half_of_its_timeout() {
        let own = process::id().to_string();
        let watchdog =
            |micros: &str, pid: Option<&str>| watchdog(Some(micros.into()), pid.map(str::to_owned));
        let second = Some(Duration::from_secs(1));
        assert_eq!(watchdog("2000000", Some(&own)), second);
        assert_eq!(watchdog("2000000", None), second);
        assert_eq!(watchdog("2000000", Some("1")), None);
        for nonsense in ["", "0", "-1", "soon"] {
            assert_eq!(watchdog(nonsense, None), None);
        }
    }

    #[test]
    fn paths_and_abstract_names() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("notify");
        let name = format!("tower-prefork-test-{}", process::id());
        let abstract_name = SocketAddr::from_abstract_name(&name).unwrap();
        for (listener, address) in [
            (
                UnixDatagram::bind(&path).unwrap(),
                path.as_os_str().as_bytes().to_vec(),
            ),
            (
                UnixDatagram::bind_addr(&abstract_name).unwrap(),
                format!("@{name}").into_bytes(),
            ),
        ] {
            let manager = ServiceManager {
                socket: Some(open(&address).unwrap()),
                watchdog: None,
            };
            manager.phase(Phase::Ready);
            let mut message = [0; 100];
            let length = listener.recv(&mut message).unwrap();
            assert_eq!(&message[..length], b"READY=1\nSTATUS=ready");
        }
    }

    #[test]
    fn a_missing_service_manager_is_no_error() {
        ServiceManager::default().phase(Phase::Ready);
        let manager = ServiceManager {
            socket: Some(open(b"/nonexistent/notify").unwrap()),
            watchdog: None,
        };
        manager.phase(Phase::Ready);
    }
}
