use std::{
    env, fmt, io,
    os::{
        linux::net::SocketAddrExt,
        unix::{
            ffi::OsStrExt,
            net::{SocketAddr, UnixDatagram},
        },
    },
    process,
    time::Duration,
};

use rustix::time::{ClockId, clock_gettime};

use crate::Phase;

/// Where the service manager is told; only the supervisor tells it anything.
pub(crate) const NOTIFY_SOCKET: &str = "NOTIFY_SOCKET";

/// How often the service manager wants to hear that the program is well, and which process is asked.
pub(crate) const WATCHDOG_USEC: &str = "WATCHDOG_USEC";
pub(crate) const WATCHDOG_PID: &str = "WATCHDOG_PID";

/// The service manager that has started the program, as systemd: what `sd_notify` tells it.
#[derive(Debug, Default)]
pub(super) struct ServiceManager {
    socket: Option<(UnixDatagram, SocketAddr)>,
    watchdog: Option<Duration>,
}

impl ServiceManager {
    /// The one that the environment names, if it does.
    pub(super) fn of_environment() -> Self {
        let Some(address) = env::var_os(NOTIFY_SOCKET) else {
            return Self::default();
        };
        let socket = match open(address.as_bytes()) {
            Ok(socket) => socket,
            Err(error) => {
                tracing::warn!(%error, ?address, "cannot tell the service manager anything");
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

    /// How often [`alive`](Self::alive) is to be called.
    pub(super) fn watchdog(&self) -> Option<Duration> {
        self.watchdog
    }

    /// The program does something else now.
    pub(super) fn phase(&self, phase: Phase) {
        match phase {
            Phase::Starting | Phase::Stopped => {}
            Phase::Ready => self.tell(format_args!("READY=1\nSTATUS=ready")),
            Phase::Reloading => {
                let now = clock_gettime(ClockId::Monotonic);
                let micros = now.tv_sec * 1_000_000 + now.tv_nsec / 1000;
                self.tell(format_args!(
                    "RELOADING=1\nMONOTONIC_USEC={micros}\nSTATUS=reloading"
                ));
            }
            Phase::Stopping => self.tell(format_args!(
                "STOPPING=1\nSTATUS=stopping: still serving, no longer ready"
            )),
            Phase::Draining => self.tell(format_args!("STOPPING=1\nSTATUS=stopping: draining")),
        }
    }

    /// This process is the main one from now on.
    pub(super) fn main_process(&self) {
        self.tell(format_args!("MAINPID={}", process::id()));
    }

    /// The program is well.
    pub(super) fn alive(&self) {
        self.tell(format_args!("WATCHDOG=1"));
    }

    fn tell(&self, what: fmt::Arguments<'_>) {
        let Some((socket, address)) = &self.socket else {
            return;
        };
        if let Err(error) = socket.send_to_addr(what.to_string().as_bytes(), address) {
            tracing::debug!(%error, "the service manager does not listen");
        }
    }
}

fn open(address: &[u8]) -> io::Result<(UnixDatagram, SocketAddr)> {
    let address = match address {
        [b'@', name @ ..] => SocketAddr::from_abstract_name(name)?,
        path => SocketAddr::from_pathname(std::ffi::OsStr::from_bytes(path))?,
    };
    let socket = UnixDatagram::unbound()?;
    // It is not waited for.
    socket.set_nonblocking(true)?;
    Ok((socket, address))
}

/// Half of the time that is allowed, if it is this process that is asked.
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
    fn the_watchdog_is_fed_in_half_of_its_time() {
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
    fn nobody_there_is_no_harm() {
        ServiceManager::default().phase(Phase::Ready);
        let manager = ServiceManager {
            socket: Some(open(b"/nonexistent/notify").unwrap()),
            watchdog: None,
        };
        manager.phase(Phase::Ready);
    }
}
