//! What a test needs of its environment: time, ports, and what the machine allows.

use std::{
    env,
    fs::OpenOptions,
    io::Write,
    net::{Ipv4Addr, SocketAddr, SocketAddrV4},
    os::fd::OwnedFd,
    thread,
    time::{Duration, Instant},
};

use rustix::net::{AddressFamily, SocketType, bind, getsockname, socket, sockopt};

use crate::PATIENCE;

/// Waits for a condition, which `what` names.
///
/// # Panics
///
/// If it is not met within [`PATIENCE`].
pub fn wait_until(what: &str, mut is_met: impl FnMut() -> bool) {
    let end = Instant::now() + PATIENCE;
    while !is_met() {
        assert!(Instant::now() < end, "{what} does not happen");
        // Not in a tight loop, because the awaited process needs the processor.
        thread::sleep(Duration::from_millis(1));
    }
}

/// A port of 127.0.0.1 that the kernel does not give to another program. It is for a program that cannot choose a free port
/// itself, or that is started again on the same port.
#[derive(Debug)]
pub struct Port {
    /// It does not listen. So a program can listen on the port that sets `SO_REUSEADDR`, as servers do.
    _socket: OwnedFd,
    address: SocketAddr,
}

impl Port {
    /// Takes a free port.
    ///
    /// # Panics
    ///
    /// If there is none.
    #[must_use]
    pub fn take() -> Self {
        let address = SocketAddrV4::new(Ipv4Addr::LOCALHOST, 0);
        let socket = socket(AddressFamily::INET, SocketType::STREAM, None).expect("a socket");
        sockopt::set_socket_reuseaddr(&socket, true).expect("a socket can share its address");
        bind(&socket, &address).expect("a free port");
        let address = getsockname(&socket).expect("the socket is bound");
        Self {
            _socket: socket,
            address: address.try_into().expect("an address of TCP"),
        }
    }

    /// The address to listen on.
    #[must_use]
    pub fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Reports that this machine does not allow the calling test, which should then return.
///
/// `cargo xtask test` lists such tests at its end. If the variable `CI` is `true`, no test may be skipped.
///
/// # Panics
///
/// If `CI` is `true`.
pub fn skip(reason: &str) {
    let must_run = env::var_os("CI").is_some_and(|ci| ci == "true");
    assert!(
        !must_run,
        "skipped, and with CI=true nothing may be: {reason}"
    );
    let thread = thread::current();
    let name = thread.name().unwrap_or("a test");
    eprintln!("skipped: {reason}");
    if let Some(notes) = env::var_os("TEST_NOTES") {
        let line = format!("skipped\t{name}\t{reason}\n");
        let notes = OpenOptions::new().append(true).open(notes);
        // In one write, because tests of other processes append at the same time.
        let noted = notes.and_then(|mut notes| notes.write_all(line.as_bytes()));
        noted.expect("the file of TEST_NOTES can be written");
    }
}

/// The size of a stress test: the value of the environment variable, or else `default`, which makes a short run.
///
/// # Panics
///
/// If the variable is no number.
#[must_use]
pub fn stress(variable: &str, default: usize) -> usize {
    let number = env::var(variable).map(|text| text.parse().expect("a number"));
    number.unwrap_or(default)
}
