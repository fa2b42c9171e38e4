//! The header of either version, read without a byte of what follows it.

use std::{io, net::SocketAddr};

use tokio::io::{AsyncRead, AsyncReadExt as _};

use super::{v1, v2};

/// The most bytes of a header that are kept: all of version 1, the addresses of version 2.
const KEPT: usize = 128;

/// What a proxy says at the beginning of a connection.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> std::io::Result<()> {
/// use tower_serve::ProxyHeader;
///
/// let mut connection: &[u8] = b"PROXY TCP4 192.0.2.7 192.0.2.1 40000 443\r\nGET / HTTP/1.1\r\n";
/// let header = ProxyHeader::read(&mut connection).await?;
/// let client = ProxyHeader::Client {
///     source: ([192, 0, 2, 7], 40000).into(),
///     destination: ([192, 0, 2, 1], 443).into(),
/// };
/// assert_eq!(header, client);
/// assert!(connection.starts_with(b"GET"));
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProxyHeader {
    /// A client has connected to the proxy.
    Client {
        /// The client's address.
        source: SocketAddr,
        /// The address that the client has connected to.
        destination: SocketAddr,
    },
    /// The connection is the proxy's own (`LOCAL`), or the proxy does not know the client's address (`UNKNOWN`, a Unix
    /// socket): the addresses are those of the connection.
    Local,
}

/// What is known of a header by its first bytes.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum HeaderState {
    /// At least this many bytes are missing.
    Missing(usize),
    /// It is known, and `skip` bytes of it are of no use.
    Known { header: ProxyHeader, skip: usize },
}

/// Why the beginning of a connection is no header.
pub(super) type Malformed = &'static str;

impl ProxyHeader {
    /// Reads the header, and nothing of what follows it.
    ///
    /// It waits for as long as the header is not complete, so call it with a timeout. The memory is bounded.
    ///
    /// # Errors
    ///
    /// [`InvalidData`](io::ErrorKind::InvalidData) as soon as the bytes are known to be no header, with a sentence that says
    /// why; otherwise those of the connection, as [`UnexpectedEof`](io::ErrorKind::UnexpectedEof) at its end.
    pub async fn read(io: &mut (impl AsyncRead + Unpin)) -> io::Result<Self> {
        let mut kept = [0; KEPT];
        let mut length = 0;
        loop {
            let missing = match progress(&kept[..length]) {
                Ok(HeaderState::Known { header, skip }) => {
                    discard(io, skip).await?;
                    return Ok(header);
                }
                Ok(HeaderState::Missing(missing)) => missing,
                Err(why) => return Err(io::Error::new(io::ErrorKind::InvalidData, why)),
            };
            let end = KEPT.min(length + missing);
            match io.read(&mut kept[length..end]).await? {
                0 => return Err(ended()),
                read => length += read,
            }
        }
    }
}

fn progress(bytes: &[u8]) -> Result<HeaderState, Malformed> {
    if bytes.first() == v2::SIGNATURE.first() {
        v2::progress(bytes)
    } else {
        v1::progress(bytes)
    }
}

async fn discard(io: &mut (impl AsyncRead + Unpin), mut bytes: usize) -> io::Result<()> {
    let mut scratch = [0; 256];
    while bytes > 0 {
        let end = bytes.min(scratch.len());
        match io.read(&mut scratch[..end]).await? {
            0 => return Err(ended()),
            read => bytes -= read,
        }
    }
    Ok(())
}

fn ended() -> io::Error {
    let why = "the connection has ended within the header of the PROXY protocol";
    io::Error::new(io::ErrorKind::UnexpectedEof, why)
}

#[cfg(test)]
mod tests {
    use std::net::Ipv6Addr;

    use tokio_test::block_on;

    use super::*;

    /// The header, and what is left behind it. The bytes come in pieces of this length.
    fn read(bytes: &[u8], piece: usize) -> Result<(ProxyHeader, Vec<u8>), io::Error> {
        let mut pieces = tokio_test::io::Builder::new();
        for piece in bytes.chunks(piece) {
            pieces.read(piece);
        }
        let mut io = pieces.build();
        block_on(async {
            let header = ProxyHeader::read(&mut io).await;
            let mut rest = Vec::new();
            io.read_to_end(&mut rest).await.unwrap();
            header.map(|header| (header, rest))
        })
    }

    fn client(source: &str, destination: &str) -> ProxyHeader {
        ProxyHeader::Client {
            source: source.parse().unwrap(),
            destination: destination.parse().unwrap(),
        }
    }

    fn version_2(command: u8, family: u8, addresses: &[u8], values: &[u8]) -> Vec<u8> {
        let length = u16::try_from(addresses.len() + values.len()).unwrap();
        let length = length.to_be_bytes();
        [
            v2::SIGNATURE,
            &[command, family],
            &length,
            addresses,
            values,
        ]
        .concat()
    }

    fn addresses(source: &[u8], destination: &[u8]) -> Vec<u8> {
        let ports = [40000_u16.to_be_bytes(), 443_u16.to_be_bytes()].concat();
        [source, destination, &ports].concat()
    }

    fn v4() -> Vec<u8> {
        addresses(&[192, 0, 2, 7], &[192, 0, 2, 1])
    }

    fn v6() -> Vec<u8> {
        let octets = |address: &str| address.parse::<Ipv6Addr>().unwrap().octets();
        addresses(&octets("2001:db8::7"), &octets("2001:db8::1"))
    }

    #[test]
    fn both_versions_in_pieces_of_any_length() {
        let by_v4 = client("192.0.2.7:40000", "192.0.2.1:443");
        let by_v6 = client("[2001:db8::7]:40000", "[2001:db8::1]:443");
        let text = |text: &str| text.as_bytes().to_vec();
        let longest = format!("PROXY UNKNOWN {}\r\n", "f".repeat(107 - 16));
        assert_eq!(longest.len(), 107);
        for (header, expected) in [
            (text("PROXY TCP4 192.0.2.7 192.0.2.1 40000 443\r\n"), by_v4),
            (
                text("PROXY TCP6 2001:db8::7 2001:db8::1 40000 443\r\n"),
                by_v6,
            ),
            (
                text("PROXY TCP6 ::ffff:192.0.2.7 ::ffff:192.0.2.1 40000 443\r\n"),
                by_v4,
            ),
            (
                text("PROXY TCP4 0.0.0.0 0.0.0.0 0 0\r\n"),
                client("0.0.0.0:0", "0.0.0.0:0"),
            ),
            (text("PROXY UNKNOWN\r\n"), ProxyHeader::Local),
            (
                text("PROXY UNKNOWN ffff::1 ffff::2 1 2\r\n"),
                ProxyHeader::Local,
            ),
            (text(&longest), ProxyHeader::Local),
            (version_2(0x21, 0x11, &v4(), b""), by_v4),
            (version_2(0x21, 0x11, &v4(), &[4, 0, 1, 9]), by_v4),
            (version_2(0x21, 0x11, &v4(), &[0xff; 4084]), by_v4),
            (version_2(0x21, 0x21, &v6(), &[0xff; 700]), by_v6),
            (version_2(0x21, 0x31, &[b'/'; 216], b""), ProxyHeader::Local),
            (
                version_2(0x21, 0x00, b"", &[4, 0, 1, 9]),
                ProxyHeader::Local,
            ),
            (version_2(0x20, 0x00, b"", b""), ProxyHeader::Local),
            (
                version_2(0x20, 0x11, &v4(), &[0xff; 3000]),
                ProxyHeader::Local,
            ),
        ] {
            let bytes = [&header, &b"\x16\x03\x01"[..]].concat();
            for piece in [1, 2, 3, 7, 16, 28, 50, 5000] {
                let (read, rest) = read(&bytes, piece).unwrap();
                assert_eq!(read, expected, "{piece}: {header:?}");
                assert_eq!(rest, b"\x16\x03\x01", "{piece}: {header:?}");
            }
        }
    }

    #[test]
    fn what_is_no_header() {
        let text = |text: &str| text.as_bytes().to_vec();
        let mut unsigned = version_2(0x21, 0x11, &v4(), b"");
        unsigned[11] = b'\r';
        for bytes in [
            text("GET / HTTP/1.1\r\n"),
            text("PROXX"),
            text("PROXY TCP5 192.0.2.7 192.0.2.1 1 2\r\n"),
            text("PROXY UDP4 192.0.2.7 192.0.2.1 1 2\r\n"),
            text("PROXY TCP4 192.0.2.7 192.0.2.1 1\r\n"),
            text("PROXY TCP4 192.0.2.7\r\nGET / HTTP/1.1\r\n"),
            text("PROXY TCP4 192.0.2.7 192.0.2.1 1 2 3\r\n"),
            text("PROXY TCP4  192.0.2.7 192.0.2.1 1 2\r\n"),
            text("PROXY TCP4 192.0.2.7 192.0.2.1 1 2 \r\n"),
            text("PROXY TCP4 192.0.2.7 192.0.2.1 1 2\n"),
            text("PROXY TCP4 192.0.2.7 192.0.2.1 1 2\rX"),
            text("PROXY TCP4 192.0.2.7 192.0.2.1 +1 2\r\n"),
            text("PROXY TCP4 192.0.2.7 192.0.2.1 1 65536\r\n"),
            text("PROXY TCP4 192.0.2.07 192.0.2.1 1 2\r\n"),
            text("PROXY TCP4 2001:db8::7 2001:db8::1 1 2\r\n"),
            text("PROXY TCP6 192.0.2.7 192.0.2.1 1 2\r\n"),
            text("PROXY UNKNOWNX\r\n"),
            text("proxy UNKNOWN\r\n"),
            format!("PROXY UNKNOWN {}\r\n", "f".repeat(108 - 16)).into(),
            format!("PROXY UNKNOWN {}", "f".repeat(300)).into(),
            format!("PROXY TCP4 {}", "1".repeat(300)).into(),
            unsigned,
            version_2(0x11, 0x11, &v4(), b""),
            version_2(0x22, 0x11, &v4(), b""),
            version_2(0x21, 0x41, &v4(), b""),
            version_2(0x21, 0x13, &v4(), b""),
            version_2(0x21, 0x12, &v4(), b""),
            version_2(0x21, 0x11, &v4()[..11], b""),
            version_2(0x21, 0x21, &v6()[..35], b""),
            version_2(0x21, 0x11, &v4(), &[0; 4085]),
            version_2(0x20, 0x00, b"", &[0; 4097]),
            vec![0x16, 3, 1, 2, 0],
            vec![0],
        ] {
            for piece in [1, 4, 5000] {
                let error = read(&bytes, piece).unwrap_err();
                assert_eq!(error.kind(), io::ErrorKind::InvalidData, "{bytes:?}");
                assert!(error.to_string().contains("PROXY protocol"), "{error}");
            }
        }
    }

    #[test]
    fn a_connection_that_ends_in_its_header() {
        for bytes in [
            &b""[..],
            b"PROXY",
            b"PROXY TCP4 192.0.2.7 192.0.2.1 1 2\r",
            b"PROXY UNKNOWN",
            &v2::SIGNATURE[..7],
            &version_2(0x21, 0x11, &v4(), b"")[..20],
            &version_2(0x20, 0x00, b"", &[0; 300])[..200],
        ] {
            let error = read(bytes, 5000).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::UnexpectedEof, "{bytes:?}");
        }
    }

    #[test]
    fn random_bytes_never_panic() {
        fastrand::seed(7);
        let valid = [
            b"PROXY TCP4 192.0.2.7 192.0.2.1 40000 443\r\n".to_vec(),
            version_2(0x21, 0x21, &v6(), &[1, 2, 3]),
        ];
        for round in 0..5_000 {
            let mut bytes = valid[round % 2].clone();
            for _ in 0..fastrand::usize(1..4) {
                let at = fastrand::usize(..bytes.len());
                bytes[at] = fastrand::u8(..);
            }
            if let Ok(HeaderState::Missing(missing)) = progress(&bytes) {
                assert!(missing > 0);
            }
            let _ = read(&bytes, fastrand::usize(1..60));
        }
    }
}
