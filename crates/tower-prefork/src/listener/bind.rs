use std::{
    error::Error,
    fmt, fs, io,
    net::{Ipv4Addr, Ipv6Addr, SocketAddr, ToSocketAddrs},
    os::unix::fs::{FileTypeExt, MetadataExt},
    path::{Path, PathBuf},
};

use socket2::{Domain, SockAddr, Socket, Type};

use super::{Address, Listener};

/// The listeners of one server, and the socket files that go with them.
///
/// Dropping it removes the files and closes this process's copies of the sockets.
#[derive(Debug)]
pub(crate) struct Bound {
    // First, so that nobody finds a file whose socket is closed already.
    files: Vec<SocketFile>,
    pub(crate) listeners: Vec<Listener>,
}

/// Why an address cannot be listened on.
#[derive(Debug)]
pub(crate) struct BindError {
    address: Address,
    source: io::Error,
}

/// Listens on all of `addresses`, or on none.
pub(crate) fn bind(addresses: &[Address], backlog: u32) -> Result<Bound, BindError> {
    let mut bound = Bound {
        files: Vec::new(),
        listeners: Vec::new(),
    };
    for address in addresses {
        bound.add(address, backlog).map_err(|source| BindError {
            address: address.clone(),
            source,
        })?;
    }
    Ok(bound)
}

impl Bound {
    fn add(&mut self, address: &Address, backlog: u32) -> io::Result<()> {
        match address {
            Address::Ip(address) => {
                self.listeners.push(Listener::tcp(*address, true, backlog)?);
            }
            Address::Any(port) => self.listeners.push(any(*port, backlog)?),
            Address::Name(name, port) => {
                let addresses: Vec<_> = (name.as_str(), *port).to_socket_addrs()?.collect();
                self.listeners.extend(each(addresses, backlog)?);
            }
            Address::Unix(path) => {
                remove_stale(path)?;
                let listener = Listener::unix(path, backlog)?;
                self.files.push(SocketFile::new(path)?);
                self.listeners.push(listener);
            }
        }
        Ok(())
    }
}

/// One socket for both families where the machine has IPv6.
fn any(port: u16, backlog: u32) -> io::Result<Listener> {
    match Listener::tcp((Ipv6Addr::UNSPECIFIED, port).into(), false, backlog) {
        Err(error) if is_missing(&error) => {
            Listener::tcp((Ipv4Addr::UNSPECIFIED, port).into(), true, backlog)
        }
        result => result,
    }
}

/// Every address of a name. Those of a family that this machine lacks are left out, as long as
/// one remains. Port 0 is chosen once for all of them.
fn each(mut addresses: Vec<SocketAddr>, backlog: u32) -> io::Result<Vec<Listener>> {
    let mut listeners: Vec<Listener> = Vec::new();
    let mut missing = io::Error::from(io::ErrorKind::AddrNotAvailable);
    addresses.sort_by_key(SocketAddr::is_ipv6);
    addresses.dedup();
    for mut address in addresses {
        if let Some(super::Local::Tcp(first)) = listeners.first().map(Listener::local) {
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

/// Removes the socket file of a program that is gone. One that still answers, and a file that is
/// no socket, are left alone.
fn remove_stale(path: &Path) -> io::Result<()> {
    let file = match fs::symlink_metadata(path) {
        Ok(metadata) => metadata.file_type(),
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        Err(error) => return Err(error),
    };
    if !file.is_socket() {
        return Err(io::Error::new(
            io::ErrorKind::AlreadyExists,
            "a file of another kind is there; remove it or choose another path",
        ));
    }
    // Without blocking: a program whose queue is full is alive, too.
    let probe = Socket::new(Domain::UNIX, Type::STREAM, None)?;
    probe.set_nonblocking(true)?;
    match probe.connect(&SockAddr::unix(path)?) {
        Err(error) if error.kind() == io::ErrorKind::ConnectionRefused => fs::remove_file(path),
        _ => Err(io::ErrorKind::AddrInUse.into()),
    }
}

/// The file of a Unix socket, removed on drop unless another program has replaced it.
#[derive(Debug)]
struct SocketFile {
    path: PathBuf,
    identity: (u64, u64),
}

impl SocketFile {
    fn new(path: &Path) -> io::Result<Self> {
        Ok(Self {
            path: path.to_owned(),
            identity: identity(path)?,
        })
    }
}

impl Drop for SocketFile {
    fn drop(&mut self) {
        if identity(&self.path).is_ok_and(|identity| identity == self.identity) {
            let _ = fs::remove_file(&self.path);
        }
    }
}

fn identity(path: &Path) -> io::Result<(u64, u64)> {
    fs::symlink_metadata(path).map(|metadata| (metadata.dev(), metadata.ino()))
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
            io::ErrorKind::AddrNotAvailable => {
                f.write_str("this machine does not have the address; choose one of its own")
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
    use std::os::unix::net::{UnixListener, UnixStream};

    use super::{super::Local, *};

    fn one(address: &str) -> Result<Bound, BindError> {
        bind(&[address.parse().unwrap()], 16)
    }

    fn ports(bound: &Bound) -> Vec<SocketAddr> {
        let address = |listener: &Listener| match listener.local() {
            Local::Tcp(address) => *address,
            Local::Unix(_) => panic!("not a TCP address"),
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
        assert!(error.to_string().contains("another kind"), "{error}");
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
}
