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
    Answer, Command, ControlSocket, Order,
    protocol::{self, MAX_REQUEST, parse, reply},
};

/// Operators that are connected at once.
const MAX_CONNECTIONS: usize = 64;

/// How long a connection may wait before its first request.
const FIRST: Duration = Duration::from_secs(2);

/// How long a connection may wait for its next request, or for the operator to take an answer.
const IDLE: Duration = Duration::from_secs(30);

/// The pause after an accept that failed, as when there are no file descriptors left.
const PAUSE: Duration = Duration::from_secs(1);

/// Answers at the control socket, on the supervisor's event loop, for as long as this is held.
#[derive(Debug)]
pub(crate) struct Console {
    orders: mpsc::Receiver<Order>,
    /// Dropped to accept no more.
    accepting: Option<oneshot::Sender<()>>,
    _serving: JoinSet<()>,
}

impl Console {
    pub(crate) fn open(socket: &ControlSocket) -> io::Result<Self> {
        let listener = UnixListener::from_std(socket.listener()?)?;
        let (sender, orders) = mpsc::channel(MAX_CONNECTIONS);
        let mut serving = JoinSet::new();
        let (accepting, closed) = oneshot::channel();
        serving.spawn(serve(listener, sender, closed));
        Ok(Self {
            orders,
            accepting: Some(accepting),
            _serving: serving,
        })
    }

    /// Leaves new connections to another process. Those that are open go on.
    pub(crate) fn close(&mut self) {
        self.accepting = None;
    }

    /// The next order. An order that is dropped is answered, too: that the program ended first.
    pub(crate) async fn recv(&mut self) -> Option<Order> {
        self.orders.recv().await
    }
}

async fn serve(
    listener: UnixListener,
    orders: mpsc::Sender<Order>,
    mut closed: oneshot::Receiver<()>,
) {
    let mut connections = JoinSet::new();
    let mut guests = Guests::default();
    loop {
        tokio::select! {
            biased;
            _ = &mut closed => break,
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => match admit(&stream).and_then(|()| guests.make_room()) {
                    Ok(()) => {
                        let waits = Waits::default();
                        let talk = converse(stream, orders.clone(), waits.clone());
                        guests.enter(connections.spawn(talk), waits);
                    }
                    Err(error) => refuse(stream, error),
                },
                Err(error) => {
                    tracing::warn!(%error, "the control socket cannot take a connection");
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
        .map_err(|error| format!("cannot learn who asks: {error}"))?
        .uid();
    let own = geteuid().as_raw();
    if !is_trusted(uid, own) {
        tracing::warn!(uid, "the control socket refuses a user");
        return Err(format!(
            "user {uid} may not ask this program; only root and user {own} may"
        ));
    }
    Ok(())
}

/// Since when a connection waits for a request.
#[derive(Clone, Debug)]
struct Waits(Arc<Mutex<Option<Instant>>>);

impl Default for Waits {
    fn default() -> Self {
        Self(Arc::new(Mutex::new(Some(Instant::now()))))
    }
}

impl Waits {
    fn set(&self, since: Option<Instant>) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = since;
    }

    fn since(&self) -> Option<Instant> {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Those who are connected.
#[derive(Debug, Default)]
struct Guests(Vec<(AbortHandle, Waits)>);

impl Guests {
    fn enter(&mut self, talk: AbortHandle, waits: Waits) {
        self.0.push((talk, waits));
    }

    /// Makes room for one more: when there is none, who has asked nothing for longest has to go.
    fn make_room(&mut self) -> Result<(), String> {
        self.0.retain(|(talk, _)| !talk.is_finished());
        let connections = self.0.len();
        if connections < MAX_CONNECTIONS {
            return Ok(());
        }
        let waiting = self.0.iter().enumerate();
        let waiting = waiting.filter_map(|(index, (_, waits))| Some((waits.since()?, index)));
        let Some((_, longest)) = waiting.min() else {
            return Err(format!(
                "{connections} others wait for their answers, and no more may; try again later"
            ));
        };
        let (talk, _) = self.0.swap_remove(longest);
        talk.abort();
        Ok(())
    }
}

/// The file's mode keeps others away already; but it can be changed, and a connection can be
/// handed on.
fn is_trusted(uid: u32, own: u32) -> bool {
    uid == 0 || uid == own
}

fn refuse(stream: UnixStream, error: String) {
    // There is room for a line in a connection that has had none; if not, the end says enough.
    let _ = stream
        .into_std()
        .and_then(|mut stream| stream.write_all(&reply(Err(error))));
}

/// Answers one operator's requests, one after the other.
async fn converse(mut stream: UnixStream, orders: mpsc::Sender<Order>, waits: Waits) {
    let (read, mut write) = stream.split();
    let mut read = BufReader::new(read);
    let mut limit = FIRST;
    while let Ok(Some(request)) = timeout(limit, next(&mut read)).await {
        limit = IDLE;
        waits.set(None);
        let Request::Line(line) = request else {
            let error =
                format!("the request is longer than {MAX_REQUEST} bytes; no command needs so many");
            let last = async {
                write.write_all(&reply(Err(error))).await?;
                write.shutdown().await?;
                // What is not read would make the kernel throw the answer away.
                tokio::io::copy(&mut read, &mut sink()).await
            };
            let _ = timeout(IDLE, last).await;
            return;
        };
        let result = match parse(&line) {
            Ok(command) => obey(command, &orders).await,
            Err(error) => Err(error),
        };
        let answered = timeout(IDLE, write.write_all(&reply(result))).await;
        if !matches!(answered, Ok(Ok(()))) {
            return;
        }
        waits.set(Some(Instant::now()));
    }
}

enum Request {
    Line(Vec<u8>),
    TooLong,
}

/// The next request; `None` when there is none any more. The last one may lack the end of its
/// line.
async fn next(read: &mut (impl AsyncBufRead + Unpin)) -> Option<Request> {
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
        Request::TooLong
    } else {
        Request::Line(line)
    })
}

/// Has the supervisor carry out a command.
async fn obey(command: Command, orders: &mpsc::Sender<Order>) -> Result<Answer, String> {
    if command != Command::Status {
        let line = String::from_utf8_lossy(&protocol::line(&command)).into_owned();
        tracing::info!(command = line.trim_end(), "control command received");
    }
    let ended = || "the program has ended before it was done".to_owned();
    let (answer, answered) = oneshot::channel();
    let order = Order { command, answer };
    orders.send(order).await.map_err(|_| ended())?;
    answered.await.unwrap_or_else(|_| Err(ended()))
}

#[cfg(test)]
mod tests {
    use tokio::task::JoinHandle;

    use super::*;

    /// A connection, and a supervisor that does whatever it is told.
    fn connect() -> (UnixStream, JoinHandle<()>) {
        let (ours, theirs) = UnixStream::pair().unwrap();
        let (sender, mut orders) = mpsc::channel::<Order>(1);
        tokio::spawn(async move {
            while let Some(order) = orders.recv().await {
                if order.command != Command::Upgrade {
                    order.answer.send(Ok(Answer::Done)).unwrap();
                }
            }
        });
        (
            ours,
            tokio::spawn(converse(theirs, sender, Waits::default())),
        )
    }

    /// All that is answered to `requests`.
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
    async fn requests_are_answered_in_their_order() {
        let answers = ask("{\"command\":\"reload\"}\nnonsense\n{\"command\":\"stop\"}").await;
        assert_eq!(answers.len(), 3, "{answers:?}");
        assert_eq!((&*answers[0], &*answers[2]), (DONE, DONE));
        assert!(answers[1].starts_with(r#"{"ok":false,"error":"the request is not understood: "#));
    }

    #[tokio::test]
    async fn a_line_that_is_too_long_ends_the_connection() {
        let command = r#"{"command":"stop"}"#;
        let longest = " ".repeat(MAX_REQUEST - command.len()) + command;
        assert_eq!(ask(format!("{longest}\n{longest}")).await, [DONE, DONE]);
        let answers = ask(format!(" {longest}\n{command}\n")).await;
        assert_eq!(answers.len(), 1, "{answers:?}");
        assert!(answers[0].contains("longer than 4096 bytes"));
        assert_eq!(ask(vec![b'x'; 1 << 20]).await.len(), 1);
    }

    #[tokio::test]
    async fn an_order_that_is_forgotten_is_answered() {
        let answers = ask(r#"{"command":"upgrade"}"#).await;
        let expected = r#"{"ok":false,"error":"the program has ended before it was done"}"#;
        assert_eq!(answers, [expected]);
    }

    #[tokio::test(start_paused = true)]
    async fn who_says_nothing_is_sent_away() {
        let (mut stream, connection) = connect();
        let start = Instant::now();
        stream.write_all(b"{\"command\":").await.unwrap();
        connection.await.unwrap();
        assert!((FIRST..IDLE).contains(&start.elapsed()));
        assert_eq!(stream.read_to_end(&mut Vec::new()).await.unwrap(), 0);
    }

    #[tokio::test(start_paused = true)]
    async fn who_has_asked_may_think_for_longer() {
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
    async fn who_has_asked_nothing_for_longest_makes_room() {
        let mut talks = JoinSet::new();
        let mut guests = Guests::default();
        let mut enter = |guests: &mut Guests| {
            let waits = Waits::default();
            guests.enter(talks.spawn(std::future::pending::<()>()), waits.clone());
            waits
        };
        let all: Vec<_> = (0..MAX_CONNECTIONS).map(|_| enter(&mut guests)).collect();
        all[0].set(None);
        all[1].set(Some(Instant::now() + PAUSE));
        let before = guests.0.len();
        guests.make_room().unwrap();
        assert_eq!(guests.0.len(), before - 1);
        assert!(
            guests
                .0
                .iter()
                .any(|(_, waits)| Arc::ptr_eq(&waits.0, &all[0].0))
        );
        assert!(
            guests
                .0
                .iter()
                .any(|(_, waits)| Arc::ptr_eq(&waits.0, &all[1].0))
        );

        // Who waits for an answer stays.
        guests.0.iter().for_each(|(_, waits)| waits.set(None));
        enter(&mut guests);
        guests.0.iter().for_each(|(_, waits)| waits.set(None));
        assert!(guests.make_room().unwrap_err().contains("64 others wait"));
    }

    #[tokio::test(start_paused = true)]
    async fn who_takes_no_answer_is_sent_away() {
        let (mut stream, connection) = connect();
        let start = Instant::now();
        let request = "{\"command\":\"stop\"}\n".repeat(1 << 10);
        // Until neither side has room any more.
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
