//! The addresses that a server listens on, as an operator writes them.

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, SocketAddr, SocketAddrV6},
    path::PathBuf,
    str::FromStr,
};

/// The longest path that fits into the kernel's `sockaddr_un`.
const LONGEST_PATH: usize = 107;

/// Where an address without a port listens, as gunicorn does.
const DEFAULT_PORT: u16 = 8000;

/// An address as an operator writes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Address {
    /// `127.0.0.1:8000`, `[::1]:8000` or a bare `8000`.
    Ip(SocketAddr),
    /// `localhost:8000`: every address that the name has.
    Name(String, u16),
    /// `:8000`: every address of this machine, IPv4 and IPv6.
    Any(u16),
    /// `unix:/run/app.sock`.
    Unix(PathBuf),
}

impl FromStr for Address {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        parse(text).map_err(|problem| format!("cannot listen on {text:?}: {problem}"))
    }
}

impl Address {
    /// The port, which a Unix socket does not have.
    pub(crate) fn port(&self) -> Option<u16> {
        match self {
            Self::Ip(address) => Some(address.port()),
            Self::Name(_, port) | Self::Any(port) => Some(*port),
            Self::Unix(_) => None,
        }
    }
}

fn parse(text: &str) -> Result<Address, &'static str> {
    if let Some(path) = text.strip_prefix("unix:") {
        // As in a URL: `unix:///run/app.sock`.
        let path = path.strip_prefix("//").unwrap_or(path);
        return socket_path(path).map(|()| Address::Unix(path.into()));
    }
    let text = match text.split_once("://") {
        None => text,
        Some(("http" | "tcp", rest)) => rest.strip_suffix('/').unwrap_or(rest),
        Some(("https", _)) => {
            return Err("write HOST:PORT; tls_certificate enables HTTPS");
        }
        Some(("fd", _)) => {
            return Err("sockets are passed by LISTEN_FDS, as systemd does; omit the address");
        }
        Some(_) => {
            return Err("expected HOST:PORT, http://HOST:PORT, tcp://HOST:PORT or unix:PATH");
        }
    };
    if text.starts_with('[') {
        let address = text.parse::<SocketAddrV6>().ok();
        let bare = || {
            let ip = text.strip_prefix('[')?.strip_suffix(']')?.parse().ok()?;
            Some(SocketAddrV6::new(ip, DEFAULT_PORT, 0, 0))
        };
        let address = address.or_else(bare);
        return address
            .map(|address| Address::Ip(address.into()))
            .ok_or("expected [IPV6]:PORT");
    }
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok(Address::Ip((ip, DEFAULT_PORT).into()));
    }
    let Some((host, port)) = text.rsplit_once(':') else {
        return match number(text) {
            Some(port) => Ok(Address::Ip((Ipv4Addr::LOCALHOST, port).into())),
            None if text == "localhost" => Ok(Address::Name(text.to_owned(), DEFAULT_PORT)),
            // Other words are not looked up: they are rather a path or a mistake than a name.
            None => Err("expected HOST:PORT, [IPV6]:PORT, :PORT, PORT, an IP address or unix:PATH"),
        };
    };
    let port = number(port).ok_or("the port must be a number from 0 to 65535")?;
    if host.is_empty() {
        Ok(Address::Any(port))
    } else if host.contains(':') {
        Err("write an IPv6 address in brackets: [::1]:8000")
    } else if let Ok(ip) = host.parse::<Ipv4Addr>() {
        Ok(Address::Ip((ip, port).into()))
    } else if host
        .bytes()
        .all(|byte| byte.is_ascii_graphic() && byte != b'/')
    {
        Ok(Address::Name(host.to_owned(), port))
    } else {
        Err("the host must be a name or an IP address")
    }
}

/// Checks the path of a Unix socket. With an empty path, or a NUL at its beginning, the kernel would create an abstract
/// socket, which has no permissions.
pub(crate) fn socket_path(path: &str) -> Result<(), &'static str> {
    match path {
        "" => Err("the path is missing; write one, for example /run/app.sock"),
        path if path.starts_with('@') => Err(
            "abstract sockets have no permissions and are not supported; write a path, for example \
             /run/app.sock (or ./@name for a file with that name)",
        ),
        path if path.contains('\0') => Err("the path of a Unix socket must not contain NUL"),
        path if path.len() > LONGEST_PATH => {
            Err("the path of a Unix socket must not be longer than 107 bytes; choose a shorter one")
        }
        _ => Ok(()),
    }
}

/// Parses a port. `parse` alone would also accept `+80`.
fn number(text: &str) -> Option<u16> {
    let digits = text.bytes().all(|byte| byte.is_ascii_digit());
    digits.then(|| text.parse().ok()).flatten()
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Ip(address) => address.fmt(f),
            Self::Name(name, port) => write!(f, "{name}:{port}"),
            Self::Any(port) => write!(f, ":{port}"),
            Self::Unix(path) => write!(f, "unix:{}", path.display()),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_form() {
        let ip = |text: &str| Ok(Address::Ip(text.parse().unwrap()));
        for (text, expected) in [
            ("127.0.0.1:8000", ip("127.0.0.1:8000")),
            ("0.0.0.0:0", ip("0.0.0.0:0")),
            ("[::1]:8000", ip("[::1]:8000")),
            ("8000", ip("127.0.0.1:8000")),
            (":8000", Ok(Address::Any(8000))),
            ("localhost:80", Ok(Address::Name("localhost".into(), 80))),
            ("unix:/run/a:b", Ok(Address::Unix("/run/a:b".into()))),
            ("unix:app.sock", Ok(Address::Unix("app.sock".into()))),
            (
                "unix:///run/app.sock",
                Ok(Address::Unix("/run/app.sock".into())),
            ),
            ("unix://app.sock", Ok(Address::Unix("app.sock".into()))),
            ("unix:./@app", Ok(Address::Unix("./@app".into()))),
            ("0.0.0.0", ip("0.0.0.0:8000")),
            ("::1", ip("[::1]:8000")),
            ("::", ip("[::]:8000")),
            ("[::]", ip("[::]:8000")),
            ("localhost", Ok(Address::Name("localhost".into(), 8000))),
            ("tcp://0.0.0.0:80", ip("0.0.0.0:80")),
            ("tcp://127.0.0.1", ip("127.0.0.1:8000")),
            ("http://127.0.0.1:8001/", ip("127.0.0.1:8001")),
            ("http://[::1]:8001", ip("[::1]:8001")),
            ("http://:8001", Ok(Address::Any(8001))),
        ] {
            assert_eq!(text.parse(), expected, "{text}");
        }
    }

    #[test]
    fn what_is_refused() {
        let long = format!("unix:/{}", "x".repeat(LONGEST_PATH));
        for text in [
            "",
            ":",
            "nowhere",
            "app.sock",
            "localhost:",
            "localhost:http",
            "localhost:+80",
            "localhost:65536",
            "70000",
            "fe80::1:2:3:4:5:6:7:8000",
            "[::1",
            "[::1]8000",
            "[localhost]:80",
            "",
            "http://",
            "http://localhost:80/app",
            "https://localhost:443",
            "ftp://localhost:21",
            "fd://3",
            "local host:80",
            "unix:",
            "unix://",
            "unix:\0app",
            "unix:@app",
            "unix:a\0b",
            &long,
        ] {
            let error = text.parse::<Address>().unwrap_err();
            assert!(error.starts_with("cannot listen on \""), "{text}: {error}");
        }
        let problem = |text: &str| text.parse::<Address>().unwrap_err();
        assert!(problem("unix:@app").contains("abstract sockets"));
        assert!(problem("https://a:1").contains("tls_certificate"));
        assert!(problem("fd://3").contains("LISTEN_FDS"));
    }
}
