//! The supervisor's side of the control socket.

use std::{
    io::{self, Write},
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use rustix::process::geteuid;
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader, sink},
    net::{UnixListener, UnixStream},
    sync::{mpsc, oneshot},
    task::{AbortHandle, JoinSet},
    time::{Instant, sleep, timeout},
};

use super::{
    Command, CommandResult, ControlSocket,
    protocol::{self, MAX_REQUEST, parse, response_line},
};

/// The most clients at a time.
const MAX_CONNECTIONS: usize = 64;

/// How long a client may take to send its first request.
const FIRST: Duration = Duration::from_secs(2);

/// How long a client may take to send its next request, or to read a response.
const IDLE: Duration = Duration::from_secs(30);

/// The pause after an accept that failed, for example because there are no file descriptors left.
const PAUSE: Duration = Duration::from_secs(1);

/// A command of a client, for the supervisor to carry out.
#[derive(Debug)]
pub(crate) struct ControlRequest {
    pub(crate) command: Command,
    /// Takes the result. If it is dropped, the client learns that the program has ended.
    pub(crate) result: oneshot::Sender<CommandResult>,
}

/// Serves the control socket on the supervisor's event loop. Dropping it closes all connections.
#[derive(Debug)]
pub(crate) struct ControlServer {
    requests: mpsc::Receiver<ControlRequest>,
    /// Dropped to stop accepting.
    accepting: Option<oneshot::Sender<()>>,
    _serving: JoinSet<()>,
}

impl ControlServer {
    pub(crate) fn open(socket: &ControlSocket) -> io::Result<Self> {
        let listener = UnixListener::from_std(socket.listener()?)?;
        let (sender, requests) = mpsc::channel(MAX_CONNECTIONS);
        let mut serving = JoinSet::new();
        let (accepting, closed) = oneshot::channel();
        serving.spawn(serve(listener, sender, closed));
        Ok(Self {
            requests,
            accepting: Some(accepting),
            _serving: serving,
        })
    }

    /// Stops accepting, because another process does. Open connections stay.
    pub(crate) fn close(&mut self) {
        self.accepting = None;
    }

    /// The next request.
    pub(crate) async fn recv(&mut self) -> Option<ControlRequest> {
        self.requests.recv().await
    }
}

async fn serve(
    listener: UnixListener,
    requests: mpsc::Sender<ControlRequest>,
    mut closed: oneshot::Receiver<()>,
) {
    let mut connections = JoinSet::new();
    let mut clients = Clients::default();
    loop {
        tokio::select! {
            biased;
            _ = &mut closed => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => match admit(&stream).and_then(|()| clients.make_room()) {
                    Ok(()) => {
                        let idle = IdleSince::default();
                        let client = serve_client(stream, requests.clone(), idle.clone());
                        clients.add(connections.spawn(client), idle);
                    }
                    Err(error) => refuse(stream, error),
                },
                Err(error) => {
                    tracing::warn!(%error, "cannot accept a connection on the control socket");
                    sleep(PAUSE).await;
                }
            },
            Some(_) = connections.join_next() => {}
        }
    }
    drop(listener);
    connections.join_all().await;
}

fn admit(stream: &UnixStream) -> Result<(), String> {
    let uid = stream
        .peer_cred()
        .map_err(|error| format!("cannot determine the user of the client: {error}"))?
        .uid();
    let own = geteuid().as_raw();
    if !is_trusted(uid, own) {
        tracing::warn!(uid, "connection to the control socket refused: wrong user");
        return Err(format!(
            "permission denied: user {uid} is neither root nor the user of this program ({own})"
        ));
    }
    Ok(())
}

/// Since when a client has been idle; `None` while it waits for a response.
#[derive(Clone, Debug)]
struct IdleSince(Arc<Mutex<Option<Instant>>>);

impl Default for IdleSince {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Some(Instant::now()))))
    }
}

impl IdleSince {
    fn set(&self, since: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    fn get(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The clients that are connected.
#[derive(Debug, Default)]
struct Clients(Vec<(AbortHandle, IdleSince)>);

impl Clients {
    fn add(&mut self, client: AbortHandle, idle: IdleSince) {
        self.0.push((client, idle));
    }

    /// Makes room for one more client: at the limit, the one that has been idle for longest is disconnected.
    fn make_room(&mut self) -> Result<(), String> {
        self.0.retain(|(client, _)| !client.is_finished());
        let connections = self.0.len();
        if connections < MAX_CONNECTIONS {
            return Ok(());
        }
        let idle = self.0.iter().enumerate();
        let idle = idle.filter_map(|(index, (_, idle))| Some((idle.get()?, index)));
        let Some((_, longest)) = idle.min() else {
            return Err(format!(
                "too many connections: {connections} clients wait for responses; try again later"
            ));
        };
        let (client, _) = self.0.swap_remove(longest);
        client.abort();
        Ok(())
    }
}

/// Whether a user may use the control socket. The mode of its file says so as well, but the mode can be changed, and a
/// connection can be passed to another process.
fn is_trusted(uid: u32, own: u32) -> bool {
    uid == 0 || uid == own
}

fn refuse(stream: UnixStream, error: String) {
    // The send buffer of a new connection has room for a line.
    let _ = stream
        .into_std()
        .and_then(|mut stream| stream.write_all(&response_line(Err(error))));
}

/// Serves the requests of one client, one after the other.
async fn serve_client(
    mut stream: UnixStream,
    requests: mpsc::Sender<ControlRequest>,
    idle: IdleSince,
) {
    let (read, mut write) = stream.split();
    let mut read = BufReader::new(read);
    let mut limit = FIRST;
    while let Ok(Some(request)) = timeout(limit, next(&mut read)).await {
        limit = IDLE;
        idle.set(None);
        let RequestLine::Complete(line) = request else {
            let error =
                format!("the request is longer than {MAX_REQUEST} bytes; no command is that long");
            let last = async {
                write.write_all(&response_line(Err(error))).await?;
                write.shutdown().await?;
                // With unread input the kernel would reset the connection and discard the response.
                tokio::io::copy(&mut read, &mut sink()).await
            };
            let _ = timeout(IDLE, last).await;
            return;
        };
        let result = match parse(&line) {
            Ok(command) => execute(command, &requests).await,
            Err(error) => Err(error),
        };
        let written = timeout(IDLE, write.write_all(&response_line(result))).await;
        if !matches!(written, Ok(Ok(()))) {
            return;
        }
        idle.set(Some(Instant::now()));
    }
}

/// A line of request.
enum RequestLine {
    Complete(Vec<u8>),
    TooLong,
}

/// Reads the next request; `None` at the end of the input. The last request may lack the end of its line.
async fn next(read: &mut (impl AsyncBufRead + Unpin)) -> Option<RequestLine> {
    let mut line = Vec::new();
    let with_end = MAX_REQUEST as u64 + 1;
    let read = read.take(with_end).read_until(b'\n', &mut line).await;
    if read.ok()? == 0 {
        return None;
    }
    if line.last() == Some(&b'\n') {
        line.pop();
    }
    Some(if line.len() > MAX_REQUEST {
        RequestLine::TooLong
    } else {
        RequestLine::Complete(line)
    })
}

/// Has the supervisor carry out a command.
async fn execute(command: Command, requests: &mpsc::Sender<ControlRequest>) -> CommandResult {
    if command != Command::Status {
        let line = String::from_utf8_lossy(&protocol::line(&command)).into_owned();
        tracing::info!(command = line.trim_end(), "control command received");
    }
    let ended = || "the program ended before the command was complete".to_owned();
    let (sender, result) = oneshot::channel();
    let request = ControlRequest {
        command,
        result: sender,
    };
    requests.send(request).await.map_err(|_| ended())?;
    result.await.unwrap_or_else(|_| Err(ended()))
}

#[cfg(test)]
mod tests {
    use tokio::task::JoinHandle;

    use super::{super::CommandOutput, *};

    /// A connection to a supervisor that carries out all commands but `upgrade`.
    fn connect() -> (UnixStream, JoinHandle<()>) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (sender, mut requests) = mpsc::channel::<ControlRequest>(1);
        tokio::spawn(async move {
            while let Some(request) = requests.recv().await {
                if request.command != Command::Upgrade {
                    request.result.send(Ok(CommandOutput::Done)).unwrap();
                }
            }
        });
        (
            ours,
            tokio::spawn(serve_client(theirs, sender, IdleSince::default())),
        )
    }

    /// The responses to `requests`.
    async fn ask(requests: impl AsRef<[u8]>) -> Vec<String> {
        let (mut stream, _) = connect();
        stream.write_all(requests.as_ref()).await.unwrap();
        stream.shutdown().await.unwrap();
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        text.lines().map(str::to_owned).collect()
    }

    const DONE: &str = r#"{"ok":true}"#;

    #[tokio::test]
    async fn responses_come_in_the_order_of_the_requests() {
        let responses = ask("{\"command\":\"reload\"}\nnonsense\n{\"command\":\"stop\"}").await;
        assert_eq!(responses.len(), 3, "{responses:?}");
        assert_eq!((&*responses[0], &*responses[2]), (DONE, DONE));
        assert!(responses[1].starts_with(r#"{"ok":false,"error":"invalid request: "#));
    }

    #[tokio::test]
    async fn a_line_that_is_too_long_ends_the_connection() {
        let command = r#"{"command":"stop"}"#;
        let longest = " ".repeat(MAX_REQUEST - command.len()) + command;
        assert_eq!(ask(format!("{longest}\n{longest}")).await, [DONE, DONE]);
        let responses = ask(format!(" {longest}\n{command}\n")).await;
        assert_eq!(responses.len(), 1, "{responses:?}");
        assert!(responses[0].contains("longer than 4096 bytes"));
        assert_eq!(ask(vec![b'x'; 1 << 20]).await.len(), 1);
    }

    #[tokio::test]
    async fn a_request_that_is_dropped_gets_a_response() {
        let responses = ask(r#"{"command":"upgrade"}"#).await;
        let expected =
            r#"{"ok":false,"error":"the program ended before the command was complete"}"#;
        assert_eq!(responses, [expected]);
    }

    #[tokio::test(start_paused = true)]
    async fn a_silent_client_is_disconnected() {
        let (mut stream, connection) = connect();
        let start = Instant::now();
        stream.write_all(b"{\"command\":").await.unwrap();
        connection.await.unwrap();
        assert!((FIRST..IDLE).contains(&start.elapsed()));
        assert_eq!(stream.read_to_end(&mut Vec::new()).await.unwrap(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_may_be_idle_for_longer_after_its_first_request() {
        let (mut stream, connection) = connect();
        let start = Instant::now();
        stream.write_all(b"{\"command\":\"stop\"}\n").await.unwrap();
        sleep(IDLE * 2 / 3).await;
        stream.write_all(b"{\"command\":\"stop\"}\n").await.unwrap();
        connection.await.unwrap();
        assert!(start.elapsed() >= IDLE * 5 / 3);
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        assert_eq!(text.lines().collect::<Vec<_>>(), [DONE, DONE]);
    }

    #[tokio::test(start_paused = true)]
    async fn the_client_that_is_idle_for_longest_makes_room() {
        let mut tasks = JoinSet::new();
        let mut clients = Clients::default();
        let mut add = |clients: &mut Clients| {
            let idle = IdleSince::default();
            clients.add(tasks.spawn(std::future::pending::<()>()), idle.clone());
            idle
        };
        let all: Vec<_> = (0..MAX_CONNECTIONS).map(|_| add(&mut clients)).collect();
        all[0].set(None);
        all[1].set(Some(Instant::now() + PAUSE));
        let before = clients.0.len();
        clients.make_room().unwrap();
        assert_eq!(clients.0.len(), before - 1);
        assert!(
            clients
                .0
                .iter()
                .any(|(_, idle)| Arc::ptr_eq(&idle.0, &all[0].0))
        );
        assert!(
            clients
                .0
                .iter()
                .any(|(_, idle)| Arc::ptr_eq(&idle.0, &all[1].0))
        );

        // One that waits for a response stays.
        clients.0.iter().for_each(|(_, idle)| idle.set(None));
        add(&mut clients);
        clients.0.iter().for_each(|(_, idle)| idle.set(None));
        assert!(clients.make_room().unwrap_err().contains("64 clients wait"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_client_that_reads_no_response_is_disconnected() {
        let (mut stream, connection) = connect();
        let start = Instant::now();
        let request = "{\"command\":\"stop\"}\n".repeat(1 << 10);
        // Until the buffers of both sides are full.
        while let Ok(written) = timeout(PAUSE, stream.write_all(request.as_bytes())).await {
            written.unwrap();
        }
        connection.await.unwrap();
        assert!((IDLE..IDLE * 2).contains(&start.elapsed()));
    }

    #[test]
    fn root_and_the_programs_own_user_are_trusted() {
        assert!(is_trusted(0, 1000) && is_trusted(1000, 1000));
        assert!(!is_trusted(1001, 1000) && !is_trusted(1000, 0));
    }
}
