//! The listeners of one server.

use std::{
    error::Error,
    fmt, io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs},
    os::fd::OwnedFd,
    sync::Arc,
};

use super::{Address, Listener, LocalAddress, SocketFile, remove_stale};

/// The listeners of one server, and the socket files that go with them.
///
/// Dropping it closes this process's copies of the sockets, and removes the files that no other `Bound` has taken over.
#[derive(Debug, Default)]
pub(crate) struct Bound {
    // First, so that there is never a file whose socket is already closed.
    files: Vec<Arc<SocketFile>>,
    pub(crate) listeners: Vec<Listener>,
}

/// Why it is not possible to listen on an address.
#[derive(Debug)]
pub(crate) struct BindError {
    address: Address,
    source: io::Error,
}

/// Listens on all of `addresses`, or on none. If `before` already listens on an address, the socket and its queued connections
/// are kept.
pub(crate) fn bind(
    addresses: &[Address],
    backlog: u32,
    socket_mode: u32,
    before: &Bound,
) -> Result<Bound, BindError> {
    let mut bound = Bound::default();
    for address in addresses {
        let added = match bound.take_over(address, before) {
            Ok(false) => bound.add(address, backlog, socket_mode),
            result => result.map(drop),
        };
        added.map_err(|source| BindError {
            address: address.clone(),
            source,
        })?;
    }
    bound.set_mode(socket_mode)?;
    Ok(bound)
}

/// A bit for each listener that the service manager has passed.
pub(crate) fn passed_bits(listeners: &[Listener]) -> u64 {
    bits(listeners, Listener::is_passed)
}

/// A bit for each listener whose clients are redirected to HTTPS.
pub(crate) fn redirect_bits(listeners: &[Listener]) -> u64 {
    bits(listeners, Listener::redirects)
}

fn bits(listeners: &[Listener], has: fn(&Listener) -> bool) -> u64 {
    let bits = listeners.iter().enumerate();
    let bits = bits.map(|(index, listener)| u64::from(has(listener)) << index);
    bits.fold(0, |bits, bit| bits | bit)
}

impl Bound {
    /// Takes the sockets of another process, each with its address, or without if the service manager has
    /// [passed](Self::passed) it. The other process owns the files until [`own_files`](Self::own_files) is called.
    pub(crate) fn inherited(sockets: Vec<(Option<Address>, OwnedFd)>) -> io::Result<Self> {
        let mut bound = Self::default();
        for (address, socket) in sockets {
            if let Some(Address::Unix(path)) = &address {
                let file = SocketFile::new(path)?;
                file.leave();
                bound.files.push(Arc::new(file));
            }
            let listener = Listener::from_fd(socket)?;
            let listener = match &address {
                Some(address) => listener.at(address),
                None => listener.passed_if(true),
            };
            bound.listeners.push(listener);
        }
        Ok(bound)
    }

    /// Takes the sockets that the service manager has bound. It owns the files.
    pub(crate) fn passed(sockets: Vec<OwnedFd>) -> io::Result<Self> {
        let listeners = sockets.into_iter().map(Listener::passed);
        Ok(Self {
            files: Vec::new(),
            listeners: listeners.collect::<io::Result<_>>()?,
        })
    }

    /// A copy of the sockets, if the service manager has passed them.
    pub(crate) fn passed_again(&self) -> Option<io::Result<Self>> {
        if self.listeners.iter().all(|one| one.address().is_some()) {
            return None;
        }
        let listeners = self.listeners.iter().map(Listener::try_clone);
        Some(listeners.collect::<io::Result<_>>().map(|listeners| Self {
            files: Vec::new(),
            listeners,
        }))
    }

    /// Sets which listeners redirect their clients to HTTPS: those of this address; among sockets that were passed, which have
    /// none, those of its port.
    pub(crate) fn redirect_at(self, address: Option<&Address>) -> Self {
        let redirects = |listener: &Listener| match (address, listener.address()) {
            (Some(address), None) => match listener.local() {
                LocalAddress::Tcp(local) => Some(local.port()) == address.port(),
                LocalAddress::Unix(_) => false,
            },
            (Some(address), Some(own)) => address == own,
            (None, _) => false,
        };
        let listeners = self.listeners.into_iter();
        let listeners = listeners.map(|listener| {
            let redirects = redirects(&listener);
            listener.redirects_if(redirects)
        });
        Self {
            files: self.files,
            listeners: listeners.collect(),
        }
    }

    /// Shuts the listeners down, in every process that has copies, except for those of the service manager.
    pub(crate) fn shut_down(&self) {
        let own = self.listeners.iter().filter(|one| !one.is_passed());
        own.for_each(Listener::shut_down);
    }

    /// Leaves the files to another process, which has taken over the sockets and will remove the files.
    pub(crate) fn leave_files(&self) {
        for file in &self.files {
            file.leave();
        }
    }

    /// Takes the files over from the process that has bound the sockets.
    pub(crate) fn own_files(&self) {
        for file in &self.files {
            file.own();
        }
    }

    /// Sets the permissions of the files of the Unix sockets.
    pub(crate) fn set_mode(&self, mode: u32) -> Result<(), BindError> {
        for listener in &self.listeners {
            match (listener.set_mode(mode), listener.address()) {
                // The file of a socket that is kept was removed.
                (Err(error), _) if error.kind() == io::ErrorKind::NotFound => {}
                (Err(source), Some(address)) => {
                    let address = address.clone();
                    return Err(BindError { address, source });
                }
                _ => {}
            }
        }
        Ok(())
    }

    /// Copies the sockets of this address. Whether there are any.
    fn take_over(&mut self, address: &Address, before: &Self) -> io::Result<bool> {
        let before_of = before.listeners.iter();
        let listeners: io::Result<Vec<_>> = before_of
            .filter(|listener| listener.address() == Some(address))
            .map(Listener::try_clone)
            .collect();
        let listeners = listeners?;
        if let Address::Unix(path) = address {
            let files = before.files.iter().filter(|file| file.path() == path);
            self.files.extend(files.cloned());
        }
        let found = !listeners.is_empty();
        self.listeners.extend(listeners);
        Ok(found)
    }

    fn add(&mut self, address: &Address, backlog: u32, socket_mode: u32) -> io::Result<()> {
        let listeners = match address {
            Address::Ip(address) => vec![Listener::tcp(*address, true, backlog)?],
            Address::Any(port) => vec![any(*port, backlog)?],
            Address::Name(name, port) => {
                let addresses: Vec<_> = (name.as_str(), *port).to_socket_addrs()?.collect();
                each(addresses, backlog)?
            }
            Address::Unix(path) => {
                remove_stale(path)?;
                let listener = Listener::unix(path, socket_mode, backlog)?;
                self.files.push(Arc::new(SocketFile::new(path)?));
                vec![listener]
            }
        };
        let listeners = listeners.into_iter();
        self.listeners
            .extend(listeners.map(|listener| listener.at(address)));
        Ok(())
    }
}

/// One socket for IPv4 and IPv6, if the machine has IPv6.
fn any(port: u16, backlog: u32) -> io::Result<Listener> {
    match Listener::tcp((Ipv6Addr::UNSPECIFIED, port).into(), false, backlog) {
        Err(error) if is_missing(&error) => {
            Listener::tcp((Ipv4Addr::UNSPECIFIED, port).into(), true, backlog)
        }
        result => result,
    }
}

/// Listens on every address of a name. Addresses of a family that this machine lacks are skipped, as long as one remains. A
/// port for 0 is chosen once for all of them.
fn each(mut addresses: Vec<SocketAddr>, backlog: u32) -> io::Result<Vec<Listener>> {
    let mut listeners: Vec<Listener> = Vec::new();
    let mut missing = io::Error::from(io::ErrorKind::AddrNotAvailable);
    addresses.sort_by_key(SocketAddr::is_ipv6);
    addresses.dedup();
    for mut address in addresses {
        if let Some(LocalAddress::Tcp(first)) = listeners.first().map(Listener::local) {
            address.set_port(first.port());
        }
        match Listener::tcp(address, true, backlog) {
            Ok(listener) => listeners.push(listener),
            Err(error) if is_missing(&error) => missing = error,
            Err(error) => return Err(error),
        }
    }
    if listeners.is_empty() {
        return Err(missing);
    }
    Ok(listeners)
}

fn is_missing(error: &io::Error) -> bool {
    error.kind() == io::ErrorKind::AddrNotAvailable
        || error.raw_os_error() == Some(rustix::io::Errno::AFNOSUPPORT.raw_os_error())
}

impl BindError {
    /// The address.
    pub(crate) fn address(&self) -> &Address {
        &self.address
    }
}

impl fmt::Display for BindError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot listen on {}: ", self.address)?;
        match self.source.kind() {
            io::ErrorKind::AddrInUse => {
                f.write_str("address in use; stop the other program or choose another address")
            }
            io::ErrorKind::PermissionDenied => match self.address {
                Address::Unix(_) => {
                    f.write_str("permission denied; choose a directory that this user may write to")
                }
                _ => f.write_str("permission denied; choose a port above 1023"),
            },
            io::ErrorKind::NotFound if matches!(self.address, Address::Unix(_)) => {
                f.write_str("the directory does not exist; create it or choose another path")
            }
            io::ErrorKind::AddrNotAvailable => {
                f.write_str("this machine does not have the address; choose another one")
            }
            _ => self.source.fmt(f),
        }
    }
}

impl Error for BindError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        fs,
        os::{
            fd::AsFd,
            unix::{
                fs::PermissionsExt,
                net::{UnixListener, UnixStream},
            },
        },
    };

    use super::{super::LocalAddress, *};

    fn one(address: &str) -> Result<Bound, BindError> {
        bind(&[address.parse().unwrap()], 16, 0o660, &Bound::default())
    }

    fn ports(bound: &Bound) -> Vec<SocketAddr> {
        let address = |listener: &Listener| match listener.local() {
            LocalAddress::Tcp(address) => *address,
            LocalAddress::Unix(_) => panic!("not a TCP address"),
        };
        bound.listeners.iter().map(address).collect()
    }

    #[test]
    fn port_zero_becomes_a_real_port() {
        let bound = one("127.0.0.1:0").unwrap();
        assert_ne!(ports(&bound)[0].port(), 0);
    }

    #[test]
    fn a_port_that_is_taken() {
        let first = one("127.0.0.1:0").unwrap();
        let address = ports(&first)[0];
        assert_eq!(
            one(&address.to_string()).unwrap_err().to_string(),
            format!(
                "cannot listen on {address}: address in use; \
                 stop the other program or choose another address"
            )
        );
    }

    #[test]
    fn a_missing_directory_is_a_sentence() {
        assert_eq!(
            one("unix:/nonexistent/app.sock").unwrap_err().to_string(),
            "cannot listen on unix:/nonexistent/app.sock: \
             the directory does not exist; create it or choose another path"
        );
    }

    #[test]
    fn any_serves_both_families() {
        let bound = one(":0").unwrap();
        let port = ports(&bound)[0].port();
        std::net::TcpStream::connect((Ipv4Addr::LOCALHOST, port)).unwrap();
        if ports(&bound)[0].is_ipv6() {
            std::net::TcpStream::connect((Ipv6Addr::LOCALHOST, port)).unwrap();
        }
    }

    #[test]
    fn all_addresses_of_a_name_get_the_same_port() {
        let bound = one("localhost:0").unwrap();
        let ports = ports(&bound);
        assert!(ports.iter().all(|one| one.port() == ports[0].port()));
        assert!(ports.iter().all(|one| one.ip().is_loopback()));
    }

    #[test]
    fn a_stale_socket_file_is_replaced_and_ours_removed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("app.sock");
        drop(UnixListener::bind(&path).unwrap());
        assert!(path.exists(), "std leaves the file");

        let bound = one(&format!("unix:{}", path.display())).unwrap();
        UnixStream::connect(&path).unwrap();
        drop(bound);
        assert!(!path.exists());
    }

    #[test]
    fn a_socket_file_has_the_mode_that_is_set() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("app.sock");
        let address = Address::Unix(path.clone());
        let addresses = std::slice::from_ref(&address);
        let mode = || fs::metadata(&path).unwrap().permissions().mode() & 0o7777;
        let first = bind(addresses, 16, 0o660, &Bound::default()).unwrap();
        assert_eq!(mode(), 0o660, "whatever the umask is");
        // One that stays at a reload.
        let _second = bind(addresses, 16, 0o606, &first).unwrap();
        assert_eq!(mode(), 0o606);
        first.set_mode(0o600).unwrap();
        assert_eq!(mode(), 0o600);
    }

    #[test]
    fn a_live_socket_and_other_files_are_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("app.sock");
        let live = UnixListener::bind(&path).unwrap();
        let error = one(&format!("unix:{}", path.display())).unwrap_err();
        assert!(error.to_string().contains("address in use"), "{error}");
        drop(live);

        let path = directory.path().join("notes.txt");
        fs::write(&path, "keep me").unwrap();
        let error = one(&format!("unix:{}", path.display())).unwrap_err();
        assert!(error.to_string().contains("is no socket"), "{error}");
        assert_eq!(fs::read_to_string(&path).unwrap(), "keep me");
    }

    #[test]
    fn the_file_of_a_successor_is_left_alone() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("app.sock");
        let bound = one(&format!("unix:{}", path.display())).unwrap();
        fs::remove_file(&path).unwrap();
        let successor = UnixListener::bind(&path).unwrap();
        drop(bound);
        assert!(path.exists());
        drop(successor);
    }

    #[test]
    fn what_was_bound_before_is_the_same_socket() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("app.sock");
        let addresses = [
            Address::Ip((Ipv4Addr::LOCALHOST, 0).into()),
            Address::Unix(path.clone()),
        ];
        let first = bind(&addresses, 16, 0o660, &Bound::default()).unwrap();
        let port = ports_of_tcp(&first);
        // The client waits in the queue of a socket that is kept.
        let client = UnixStream::connect(&path).unwrap();
        let other = Address::Name("localhost".into(), 0);
        let [tcp, unix] = addresses;
        let second = bind(&[unix.clone(), other, tcp], 16, 0o660, &first).unwrap();
        drop(first);
        assert!(path.exists());
        assert_eq!(ports_of_tcp(&second).last(), port.last());
        let third = bind(&[unix], 16, 0o660, &second).unwrap();
        drop(second);
        assert!(path.exists());
        let socket = third.listeners[0].as_fd().try_clone_to_owned().unwrap();
        UnixListener::from(socket).accept().unwrap();
        drop((client, third));
        assert!(!path.exists());
    }

    fn ports_of_tcp(bound: &Bound) -> Vec<u16> {
        let port = |listener: &Listener| match listener.local() {
            LocalAddress::Tcp(address) => Some(address.port()),
            LocalAddress::Unix(_) => None,
        };
        bound.listeners.iter().filter_map(port).collect()
    }

    #[test]
    fn files_are_left_to_a_process_that_took_them_over() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("app.sock");
        let address = Address::Unix(path.clone());
        let ours = bind(std::slice::from_ref(&address), 16, 0o660, &Bound::default()).unwrap();
        let socket = ours.listeners[0].as_fd().try_clone_to_owned().unwrap();
        let copy = (Some(address.clone()), socket.try_clone().unwrap());
        let theirs = Bound::inherited(vec![(Some(address), socket)]).unwrap();
        drop(Bound::inherited(vec![copy]).unwrap());
        assert!(path.exists(), "it was not theirs yet");
        ours.leave_files();
        theirs.own_files();
        drop(ours);
        UnixStream::connect(&path).unwrap();
        drop(theirs);
        assert!(!path.exists());
    }
}
