//! An HTTP client that sends raw bytes.

use std::{
    io::{self, BufRead, BufReader, ErrorKind, Read, Write},
    net::{SocketAddr, TcpStream},
    os::{
        fd::{AsFd, BorrowedFd},
        unix::net::UnixStream,
    },
    path::Path,
    sync::Arc,
};

use rustix::{
    event::{PollFd, PollFlags, Timespec, poll},
    net::{Shutdown, shutdown},
};
use tokio_rustls::rustls::{ClientConfig, ClientConnection, StreamOwned, pki_types::ServerName};

use crate::PATIENCE;

/// A blocking HTTP client that sends the given bytes over one connection.
#[derive(Debug)]
pub struct Client {
    pub(crate) stream: BufReader<Stream>,
}

#[derive(Debug)]
pub(crate) enum Stream {
    Tcp(TcpStream),
    Tls(Box<StreamOwned<ClientConnection, TcpStream>>),
    Unix(UnixStream),
}

/// What came back.
#[derive(Debug, PartialEq, Eq)]
pub struct Response {
    /// The status code.
    pub status: u16,
    /// The header fields, names in lower case.
    pub headers: Vec<(String, String)>,
    /// The whole body, without its framing.
    pub body: Vec<u8>,
}

impl Client {
    /// Connects over TCP.
    ///
    /// # Panics
    ///
    /// If no server listens there.
    #[must_use]
    pub fn connect(address: SocketAddr) -> Self {
        Self::try_connect(address).expect("somebody listens")
    }

    /// Connects over TCP.
    ///
    /// # Errors
    ///
    /// If no server listens there.
    pub fn try_connect(address: SocketAddr) -> io::Result<Self> {
        Ok(Self {
            stream: BufReader::new(Stream::Tcp(tcp(address)?)),
        })
    }

    /// Connects over TCP, and then with TLS to `localhost`.
    ///
    /// # Errors
    ///
    /// If no server listens there, or the handshake fails: the server's certificate is not trusted.
    pub fn connect_tls(address: SocketAddr, config: &Arc<ClientConfig>) -> io::Result<Self> {
        let name = ServerName::try_from("localhost").map_err(io::Error::other)?;
        let session = ClientConnection::new(config.clone(), name).map_err(io::Error::other)?;
        let mut stream = StreamOwned::new(session, tcp(address)?);
        stream.conn.complete_io(&mut stream.sock)?;
        Ok(Self {
            stream: BufReader::new(Stream::Tls(Box::new(stream))),
        })
    }

    /// Connects to a Unix socket.
    ///
    /// # Errors
    ///
    /// If no server listens there.
    pub fn connect_unix(path: &Path) -> io::Result<Self> {
        let stream = UnixStream::connect(path)?;
        stream.set_read_timeout(Some(PATIENCE))?;
        Ok(Self {
            stream: BufReader::new(Stream::Unix(stream)),
        })
    }

    /// Sends these bytes.
    ///
    /// # Errors
    ///
    /// When the connection is closed.
    pub fn send(&mut self, bytes: impl AsRef<[u8]>) -> io::Result<()> {
        self.stream.get_mut().write_all(bytes.as_ref())
    }

    /// Sends a GET request, and reads its response. The connection stays open.
    ///
    /// # Errors
    ///
    /// When the connection is closed or broken.
    pub fn get(&mut self, path: &str) -> io::Result<Response> {
        self.send(format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n"))?;
        self.response()
    }

    /// Reads one response to a request other than HEAD.
    ///
    /// # Errors
    ///
    /// `UnexpectedEof` when the connection ends before the response, and `InvalidData` when what
    /// comes is no response.
    pub fn response(&mut self) -> io::Result<Response> {
        let (status, headers) = self.head()?;
        let mut response = Response {
            status,
            headers,
            body: Vec::new(),
        };
        if response.header("transfer-encoding") == Some("chunked") {
            response.body = self.chunks()?;
        } else if let Some(length) = response.header("content-length") {
            response.body = vec![0; length.parse().map_err(|_| invalid(length))?];
            self.stream.read_exact(&mut response.body)?;
        } else if status >= 200 && status != 204 && status != 304 {
            self.stream.read_to_end(&mut response.body)?;
        }
        Ok(response)
    }

    /// Reads one response up to the end of its head.
    ///
    /// # Errors
    ///
    /// As [`response`](Self::response).
    pub fn head(&mut self) -> io::Result<(u16, Vec<(String, String)>)> {
        let line = self.line()?;
        let status = line
            .strip_prefix("HTTP/1.1 ")
            .and_then(|rest| rest.get(..3));
        let status = status.and_then(|code| code.parse().ok());
        let status = status.ok_or_else(|| invalid(&line))?;
        let mut headers = Vec::new();
        loop {
            let line = self.line()?;
            if line.is_empty() {
                return Ok((status, headers));
            }
            let (name, value) = line.split_once(':').ok_or_else(|| invalid(&line))?;
            headers.push((name.to_lowercase(), value.trim().to_owned()));
        }
    }

    /// Reads one chunk of a chunked body; the last one is empty.
    ///
    /// # Errors
    ///
    /// As [`response`](Self::response).
    pub fn chunk(&mut self) -> io::Result<Vec<u8>> {
        let line = self.line()?;
        let size = usize::from_str_radix(&line, 16).map_err(|_| invalid(&line))?;
        let mut chunk = vec![0; size];
        self.stream.read_exact(&mut chunk)?;
        if !self.line()?.is_empty() {
            return Err(invalid("a chunk without an end"));
        }
        Ok(chunk)
    }

    /// Whether bytes of a response, or the end of the connection, are here already.
    ///
    /// # Panics
    ///
    /// When the connection is broken.
    #[must_use]
    pub fn has_response(&self) -> bool {
        let fd = self.stream.get_ref().as_fd();
        let mut fds = [PollFd::from_borrowed_fd(fd, PollFlags::IN)];
        let now = Timespec::default();
        let ready = poll(&mut fds, Some(&now)).expect("a socket can be polled");
        !self.stream.buffer().is_empty() || ready > 0
    }

    /// Sends nothing more.
    ///
    /// # Panics
    ///
    /// When the connection is broken.
    pub fn close_write(&mut self) {
        let stream = self.stream.get_ref().as_fd();
        shutdown(stream, Shutdown::Write).expect("the connection is open");
    }

    /// Leaves, so that the server learns of it: a connection that is only closed looks as if its sending side was.
    ///
    /// # Panics
    ///
    /// When the socket is none.
    pub fn reset(self) {
        let stream = self.stream.get_ref().as_fd();
        rustix::net::sockopt::set_socket_linger(stream, Some(std::time::Duration::ZERO))
            .expect("a socket");
    }

    /// Reads until the server closes the connection.
    ///
    /// # Errors
    ///
    /// When it is reset instead.
    pub fn rest(&mut self) -> io::Result<Vec<u8>> {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest)?;
        Ok(rest)
    }

    fn chunks(&mut self) -> io::Result<Vec<u8>> {
        let mut body = Vec::new();
        loop {
            let chunk = self.chunk()?;
            if chunk.is_empty() {
                return Ok(body);
            }
            body.extend(chunk);
        }
    }

    fn line(&mut self) -> io::Result<String> {
        let mut line = String::new();
        self.stream.read_line(&mut line)?;
        match line.strip_suffix("\r\n") {
            Some(line) => Ok(line.to_owned()),
            None => Err(ErrorKind::UnexpectedEof.into()),
        }
    }
}

fn tcp(address: SocketAddr) -> io::Result<TcpStream> {
    let stream = TcpStream::connect_timeout(&address, PATIENCE)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    stream.set_nodelay(true)?;
    Ok(stream)
}

impl Response {
    /// The first field of this name, which is in lower case.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        let field = self.headers.iter().find(|(field, _)| field == name);
        field.map(|(_, value)| value.as_str())
    }

    /// The body as text.
    #[must_use]
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

impl AsFd for Stream {
    fn as_fd(&self) -> BorrowedFd<'_> {
        match self {
            Self::Tcp(stream) => stream.as_fd(),
            Self::Tls(stream) => stream.sock.as_fd(),
            Self::Unix(stream) => stream.as_fd(),
        }
    }
}

impl Read for Stream {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.read(buffer),
            Self::Tls(stream) => stream.read(buffer),
            Self::Unix(stream) => stream.read(buffer),
        }
    }
}

impl Write for Stream {
    fn write(&mut self, buffer: &[u8]) -> io::Result<usize> {
        match self {
            Self::Tcp(stream) => stream.write(buffer),
            Self::Tls(stream) => {
                let written = stream.write(buffer)?;
                stream.flush()?;
                Ok(written)
            }
            Self::Unix(stream) => stream.write(buffer),
        }
    }

    fn flush(&mut self) -> io::Result<()> {
        match self {
            Self::Tcp(stream) => stream.flush(),
            Self::Tls(stream) => stream.flush(),
            Self::Unix(stream) => stream.flush(),
        }
    }
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(ErrorKind::InvalidData, format!("no response: {what:?}"))
}
