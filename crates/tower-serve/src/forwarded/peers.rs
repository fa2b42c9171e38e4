//! The peers whose word counts: [`TrustedPeers`].

use std::{
    fmt,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    str::FromStr,
};

use ipnet::IpNet;
use tower_server_info::ConnectInfo;

const UNIX: &str = "unix";
const ALL: &str = "*";

/// The peers whose word counts: addresses, networks, Unix sockets.
///
/// ```
/// use tower_serve::TrustedPeers;
///
/// let peers: TrustedPeers = "10.0.0.0/8, 192.0.2.7, 2001:db8::/32, unix".parse()?;
/// assert!(peers.contains([10, 1, 2, 3].into()));
/// assert!(!peers.contains([192, 0, 2, 8].into()));
/// # Ok::<(), String>(())
/// ```
///
/// `*` is every peer: only for a server that no one but its proxy can reach. The default is an empty list.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedPeers {
    networks: Vec<IpNet>,
    unix: bool,
    all: bool,
}

impl TrustedPeers {
    /// This machine: the loopback addresses, and Unix sockets.
    #[must_use]
    pub fn local() -> Self {
        let v4 = IpNet::new_assert(IpAddr::V4(Ipv4Addr::new(127, 0, 0, 0)), 8);
        Self {
            networks: vec![v4, IpNet::from(IpAddr::V6(Ipv6Addr::LOCALHOST))],
            unix: true,
            all: false,
        }
    }

    /// Whether the address is one of them. That of an IPv4 client of an IPv6 socket is its IPv4 address.
    #[must_use]
    pub fn contains(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.all
            || self
                .networks
                .iter()
                .any(|network| network.contains(&address))
    }

    /// Whether the peer of this connection is one of them.
    #[must_use]
    pub fn contains_peer(&self, connection: &ConnectInfo) -> bool {
        match connection.peer() {
            Some(peer) => self.contains(peer.ip()),
            None => self.unix || self.all,
        }
    }

    /// Adds one: an address, a network, `unix` or `*`. An empty text adds nothing.
    ///
    /// # Errors
    ///
    /// When the text is none of these. The error is a sentence for the operator.
    pub fn add(&mut self, text: &str) -> Result<(), String> {
        match text.trim() {
            "" => {}
            UNIX => self.unix = true,
            ALL => self.all = true,
            text => {
                let address = text.parse::<IpAddr>().map(IpNet::from).ok();
                let network = address.or_else(|| text.parse().ok());
                let network = network.ok_or_else(|| unknown(text))?;
                self.networks.push(network);
            }
        }
        Ok(())
    }

    /// Each of them, as [`add`](Self::add) takes it.
    pub fn names(&self) -> impl Iterator<Item = String> {
        let networks = self.networks.iter().map(|network| {
            match network.prefix_len() == network.max_prefix_len() {
                true => network.addr().to_string(),
                false => network.to_string(),
            }
        });
        let unix = self.unix.then(|| UNIX.to_owned());
        networks.chain(unix).chain(self.all.then(|| ALL.to_owned()))
    }
}

impl FromStr for TrustedPeers {
    type Err = String;

    /// A list with commas.
    fn from_str(text: &str) -> Result<Self, String> {
        let mut peers = Self::default();
        text.split(',').try_for_each(|peer| peers.add(peer))?;
        Ok(peers)
    }
}

impl fmt::Display for TrustedPeers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.names().collect();
        f.write_str(&names.join(","))
    }
}

fn unknown(text: &str) -> String {
    format!(
        "{text:?} is no peer; give an IP address, a network such as 10.0.0.0/8, \"unix\" for Unix sockets, or \"*\" for \
         every peer"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn peers(text: &str) -> TrustedPeers {
        text.parse().unwrap()
    }

    #[test]
    fn this_machine() {
        let local = TrustedPeers::local();
        assert_eq!(local, peers("127.0.0.0/8,::1,unix"));
        for (address, trusted) in [
            ("127.0.0.1", true),
            ("127.9.9.9", true),
            ("::1", true),
            ("::ffff:127.0.0.1", true),
            ("128.0.0.1", false),
            ("10.0.0.1", false),
            ("::2", false),
            ("::", false),
        ] {
            assert_eq!(
                local.contains(address.parse().unwrap()),
                trusted,
                "{address}"
            );
        }
        assert!(local.contains_peer(&ConnectInfo::unix(None)));
    }

    #[test]
    fn no_peer_is_in_an_empty_list() {
        for text in ["", " ", ",", " , "] {
            assert_eq!(peers(text), TrustedPeers::default());
            assert!(!peers(text).contains(Ipv4Addr::LOCALHOST.into()));
            assert!(!peers(text).contains_peer(&ConnectInfo::unix(None)));
        }
        assert!(!peers("127.0.0.1").contains_peer(&ConnectInfo::unix(None)));
        assert!(!peers("unix").contains(Ipv4Addr::LOCALHOST.into()));
    }

    #[test]
    fn everybody() {
        assert!(peers("*").contains([192, 0, 2, 1].into()));
        assert!(peers("*").contains_peer(&ConnectInfo::unix(None)));
    }

    #[test]
    fn a_list_is_written_as_it_is_read() {
        for text in ["", "10.0.0.0/8,2001:db8::/32,192.0.2.7,unix", "*"] {
            assert_eq!(peers(text).to_string(), text);
        }
        assert_eq!(peers(" ::1 , *, unix").to_string(), "::1,unix,*");
    }

    #[test]
    fn anything_else_is_a_mistake() {
        for text in [
            "localhost",
            "10.0.0.0/33",
            "10.0.0",
            "127.0.0.1:80",
            "[::1]",
            "UNIX ",
        ] {
            let error = text.parse::<TrustedPeers>().unwrap_err();
            assert!(error.contains("is no peer; give an IP address"), "{error}");
        }
    }
}
