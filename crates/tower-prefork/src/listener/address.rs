use std::{
    fmt,
    net::{Ipv4Addr, SocketAddr, SocketAddrV6},
    path::PathBuf,
    str::FromStr,
};

/// The longest path that fits into the kernel's `sockaddr_un`.
const LONGEST_PATH: usize = 107;

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

fn parse(text: &str) -> Result<Address, &'static str> {
    if let Some(path) = text.strip_prefix("unix:") {
        return match path.len() {
            0 => Err("the path is missing; write unix:PATH"),
            1..=LONGEST_PATH if !path.contains('\0') => Ok(Address::Unix(path.into())),
            _ => Err("the path of a Unix socket has at most 107 bytes"),
        };
    }
    if text.starts_with('[') {
        return text
            .parse::<SocketAddrV6>()
            .map(|address| Address::Ip(address.into()))
            .map_err(|_| "expected [IPV6]:PORT");
    }
    let Some((host, port)) = text.rsplit_once(':') else {
        return number(text)
            .map(|port| Address::Ip((Ipv4Addr::LOCALHOST, port).into()))
            .ok_or("expected HOST:PORT, [IPV6]:PORT, :PORT, PORT or unix:PATH");
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

/// A port. `parse` alone would also take `+80`.
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
            "localhost",
            "localhost:",
            "localhost:http",
            "localhost:+80",
            "localhost:65536",
            "70000",
            "::1:8000",
            "[::1]",
            "[::1",
            "[localhost]:80",
            "http://localhost:80",
            "local host:80",
            "unix:",
            &long,
        ] {
            let error = text.parse::<Address>().unwrap_err();
            assert!(error.starts_with("cannot listen on \""), "{text}: {error}");
        }
    }
}
