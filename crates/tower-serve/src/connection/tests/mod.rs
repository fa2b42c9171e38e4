//! What a client sees, byte by byte.
//!
//! Most of these talk to [`serve`] over a pipe in memory, with the clock stopped: it jumps to the next
//! deadline when no task has anything to do, so that a timeout takes no time, and a hang ends in one.

mod access_log;
mod bodies;
mod drain;
mod ending;
mod forwarded;
mod http2;
mod keep_alive;
mod leaving;
mod proxy_protocol;
mod random;
mod refused;
mod response_deadline;
mod timeouts;
#[cfg(feature = "tls")]
mod tls;
mod upgrade;

use std::{
    convert::Infallible,
    future::Future,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    time::Duration,
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::{BodyExt, Full};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream},
    sync::watch,
    task::JoinHandle,
    time::{Instant, timeout},
};
use tower::{Service, service_fn};

use super::{
    ConnectInfo, ConnectionHooks, Load, RequestBody, Shared, serve, table::ConnectionEntry,
};
use crate::{BoxError, Http, HttpService, HttpVersions, TrustedProxies, access_log::Log};

/// More than every time-out of a connection together.
const LONG: Duration = Duration::from_secs(600);

/// How long a worker that stops keeps idle connections.
const AT_ONCE: Option<Duration> = Some(Duration::from_millis(10));

/// A worker without the worker.
struct Server {
    shared: Arc<Shared>,
    drain: watch::Sender<Option<Duration>>,
    load: Load,
}

/// The number of idle connections beside those of a test.
const OTHERS: usize = 1;

impl Server {
    fn new() -> Self {
        Self::with(|_| {})
    }

    fn with(change: impl FnOnce(&mut Http)) -> Self {
        Self::with_log(change, None)
    }

    fn with_log(change: impl FnOnce(&mut Http), log: Option<Log>) -> Self {
        let mut http = Http::default();
        change(&mut http);
        let (drain, observed) = watch::channel(None);
        let load = Load::new(0);
        // A connection that is not alone lets others read before it writes.
        for _ in 0..OTHERS {
            load.connection_opened(&Arc::new(ConnectionEntry::new(0)));
            load.connection_used();
        }
        Self {
            shared: Arc::new(Shared::new(
                http,
                observed,
                load.clone(),
                log,
                None,
                ConnectionHooks::default(),
            )),
            drain,
            load,
        }
    }

    /// The same, behind these proxies.
    fn behind(self, proxies: TrustedProxies) -> Self {
        let shared = Arc::into_inner(self.shared).expect("no connection yet");
        Self {
            shared: Arc::new(shared.behind(proxies)),
            ..self
        }
    }

    /// A client that is connected to `service`, with room for `buffer` bytes on the way.
    fn connect_with<S: HttpService>(&self, buffer: usize, service: S) -> Client<DuplexStream> {
        let (client, server) = tokio::io::duplex(buffer);
        let served = tokio::spawn(serve(
            server,
            ConnectInfo::unix(None),
            service,
            self.shared.clone(),
        ));
        Client::new(client, served)
    }

    fn connect<S: HttpService>(&self, service: S) -> Client<DuplexStream> {
        self.connect_with(64 << 10, service)
    }
}

/// Sends raw bytes, and takes responses apart.
struct Client<IO> {
    io: IO,
    read: Vec<u8>,
    served: JoinHandle<()>,
}

#[derive(Debug)]
struct ClientResponse {
    status: u16,
    head: String,
    body: Vec<u8>,
}

impl ClientResponse {
    /// The value of a field, or an empty string.
    fn field(&self, name: &str) -> &str {
        self.head
            .lines()
            .skip(1)
            .filter_map(|line| line.split_once(": "))
            .find_map(|(found, value)| found.eq_ignore_ascii_case(name).then_some(value))
            .unwrap_or_default()
    }

    fn closes(&self) -> bool {
        self.field("connection") == "close"
    }

    fn text(&self) -> &str {
        str::from_utf8(&self.body).expect("the body is text")
    }
}

impl<IO: AsyncRead + AsyncWrite + Unpin> Client<IO> {
    fn new(io: IO, served: JoinHandle<()>) -> Self {
        Self {
            io,
            read: Vec::new(),
            served,
        }
    }

    async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        let send = async {
            self.io.write_all(bytes.as_ref()).await?;
            self.io.flush().await
        };
        bounded(send).await.expect("the server reads");
    }

    /// Reads more; 0 at the end, in which a reset is one, too.
    async fn fill(&mut self) -> usize {
        let mut buffer = [0; 4096];
        let length = bounded(self.io.read(&mut buffer)).await.unwrap_or(0);
        self.read.extend_from_slice(&buffer[..length]);
        length
    }

    async fn response(&mut self) -> ClientResponse {
        self.next_response().await.expect("a whole response")
    }

    /// The next response, or nothing at the end of the connection.
    async fn next_response(&mut self) -> Option<ClientResponse> {
        loop {
            let response = self.head().await?;
            if response.status != 100 {
                return self.body(response).await;
            }
        }
    }

    /// The next head, be it an interim one.
    async fn head(&mut self) -> Option<ClientResponse> {
        let end = loop {
            if let Some(end) = find(&self.read, b"\r\n\r\n") {
                break end + 4;
            }
            if self.fill().await == 0 {
                return None;
            }
        };
        let head: Vec<u8> = self.read.drain(..end).collect();
        let head = String::from_utf8(head).expect("the head is text");
        let status = head
            .strip_prefix("HTTP/1.")
            .and_then(|line| line[2..5].parse().ok())
            .expect("a status line");
        Some(ClientResponse {
            status,
            head,
            body: Vec::new(),
        })
    }

    async fn body(&mut self, mut response: ClientResponse) -> Option<ClientResponse> {
        if response.field("transfer-encoding") == "chunked" {
            loop {
                let end = loop {
                    if let Some(end) = find(&self.read, b"\r\n") {
                        break end;
                    }
                    if self.fill().await == 0 {
                        return None;
                    }
                };
                let line: Vec<u8> = self.read.drain(..end + 2).collect();
                let size = str::from_utf8(&line).expect("a chunk size").trim_end();
                let size = usize::from_str_radix(size, 16).expect("a chunk size");
                while self.read.len() < size + 2 {
                    if self.fill().await == 0 {
                        return None;
                    }
                }
                response.body.extend(self.read.drain(..size));
                self.read.drain(..2);
                if size == 0 {
                    return Some(response);
                }
            }
        }
        let length: usize = response.field("content-length").parse().unwrap_or(0);
        while self.read.len() < length {
            if self.fill().await == 0 {
                return None;
            }
        }
        response.body.extend(self.read.drain(..length));
        Some(response)
    }

    /// What comes before the end of the connection.
    async fn rest(&mut self) -> Vec<u8> {
        while self.fill().await != 0 {}
        std::mem::take(&mut self.read)
    }

    /// Asserts that nothing more comes, and that the server is done with the connection.
    async fn ended(mut self) {
        let rest = self.rest().await;
        assert!(
            rest.is_empty(),
            "unexpected: {}",
            String::from_utf8_lossy(&rest)
        );
        drop(self.io);
        bounded(self.served).await.expect("no panic");
    }
}

fn find(bytes: &[u8], part: &[u8]) -> Option<usize> {
    bytes.windows(part.len()).position(|window| window == part)
}

/// A hang is a failure.
async fn bounded<F: Future>(future: F) -> F::Output {
    timeout(LONG, future).await.expect("no hang")
}

/// How many requests have reached a service.
#[derive(Clone, Default)]
struct Count(Arc<AtomicUsize>);

impl Count {
    fn add(&self) {
        self.0.fetch_add(1, Relaxed);
    }

    fn get(&self) -> usize {
        self.0.load(Relaxed)
    }
}

/// Responds with what it was sent: method, target, `Host`, and the body.
fn echo()
-> impl Service<Request<RequestBody>, Response = Response<Full<Bytes>>, Error = BoxError, Future: Send>
+ Clone
+ Send
+ 'static {
    counted(&Count::default())
}

/// The same, counting.
fn counted(
    count: &Count,
) -> impl Service<Request<RequestBody>, Response = Response<Full<Bytes>>, Error = BoxError, Future: Send>
+ Clone
+ Send
+ 'static
+ use<> {
    let count = count.clone();
    service_fn(move |request: Request<RequestBody>| {
        count.add();
        async move {
            let (head, body) = request.into_parts();
            let host = head
                .headers
                .get("host")
                .map_or("none", |host| host.to_str().expect("checked"));
            let text = format!("{} {} {host} ", head.method, head.uri);
            let body = body.collect().await?.to_bytes();
            let all = [text.as_bytes(), &body].concat();
            Ok::<_, BoxError>(Response::new(Full::new(Bytes::from(all))))
        }
    })
}

/// Responds at once, and leaves the body unread.
async fn ignore(_: Request<RequestBody>) -> Result<Response<String>, Infallible> {
    Ok(Response::new("ignored".to_owned()))
}
