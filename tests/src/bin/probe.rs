//! A server that misbehaves on request, for the process tests.

use std::{
    convert::Infallible,
    fs::File,
    io::{self, Write},
    path::PathBuf,
    pin::Pin,
    process::{self, Command, ExitCode},
    sync::Mutex,
    task::{Context, Poll},
    thread,
    time::Duration,
};

use axum::{
    Extension, Router,
    body::{Body, to_bytes},
    extract::{
        Path,
        ws::{Message, WebSocket, WebSocketUpgrade},
    },
    routing::{any, get, post},
};
use bytes::Bytes;
use clap::Parser;
use futures_util::{SinkExt, StreamExt};
use http::{Request, Response, Uri};
use http_body::Frame;
use tokio::sync::watch;
use tower::Layer as _;
use tower_prefork::{
    BoxError, ConnectInfo, Phase, Server, Supervisor, WorkerContext, Workers, cli,
};
use tower_wsgi::blocking::{BlockingLayer, BlockingPool, blocking_fn};

/// A server for tests.
#[derive(Clone, Parser)]
#[command(args_conflicts_with_subcommands = true)]
struct ProbeCli {
    #[command(subcommand)]
    command: Option<Subcommand>,

    #[command(flatten)]
    server: cli::Args,

    /// Block for this many milliseconds in every start of a worker.
    #[arg(long, default_value_t = 0)]
    slow_start: u64,

    /// What the start of the last worker ends with.
    #[arg(long)]
    bad_start: Option<BadStart>,

    /// Each worker starts once: it leaves a file here, and one that finds its file ends with
    /// code 3.
    #[arg(long)]
    once: Option<PathBuf>,

    /// Each start of a worker does what this file says: "exit", "error", "never" or "wait", which is
    /// to wait until the file says something else. With a number before it, only that worker does.
    #[arg(long)]
    start: Option<PathBuf>,

    /// Tell of each step of a worker process.
    #[arg(long)]
    tell_steps: bool,

    /// Print the phases of the program.
    #[arg(long)]
    phases: bool,

    /// Get the orphans that workers leave behind, as process 1 does.
    #[arg(long)]
    subreaper: bool,

    /// A second server, on this address.
    #[arg(long)]
    second: Option<String>,
}

#[derive(Clone, clap::Subcommand)]
enum Subcommand {
    Ctl(cli::Ctl),
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum BadStart {
    Error,
    /// An error while a blocking job runs.
    ErrorAndJob,
    Panic,
    Exit,
    Never,
}

fn main() -> ExitCode {
    let cli = ProbeCli::parse();
    if let Some(Subcommand::Ctl(ctl)) = &cli.command {
        return ctl.run();
    }
    cli.server.init_logging();
    if cli.subreaper && std::env::var_os("TOWER_PREFORK_WORKER").is_none() {
        let own = rustix::process::getpid();
        rustix::process::set_child_subreaper(Some(own)).expect("a process may");
    }
    let server = |name: &str| {
        let cli = cli.clone();
        let tell_steps = cli.tell_steps;
        Server::new(name)
            .args(&cli.server.clone())
            .on_process(move |event| {
                if tell_steps {
                    // At once: the workers say something, too.
                    let line = format!("hook {event:?}\n");
                    let _ = io::stderr().write_all(line.as_bytes());
                }
            })
            .service(|worker| build(worker, cli))
    };
    let Some(second) = cli.second.clone() else {
        let server = server("probe");
        if cli.phases {
            print_phases(server.phases());
        }
        return server.run();
    };
    let second = server("second").configure(move |config| config.bind = vec![second.clone()]);
    Supervisor::new()
        .server(server("probe"))
        .server(second)
        .run()
}

/// Prints each phase, until the program ends.
fn print_phases(mut phases: watch::Receiver<Phase>) {
    thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.expect("a runtime").block_on(async {
            while phases.changed().await.is_ok() {
                // In one piece: a log line could come between two.
                let line = format!("phase {:?}\n", *phases.borrow_and_update());
                let _ = io::stderr().write_all(line.as_bytes());
            }
        });
    });
}

async fn build(worker: WorkerContext, cli: ProbeCli) -> Result<Router, BoxError> {
    thread::sleep(Duration::from_millis(cli.slow_start));
    if let Some(file) = &cli.start {
        obey(file, worker.slot()).await?;
    }
    // The others start well.
    let last = match worker.config().workers {
        Workers::Count(count) => worker.slot() + 1 >= count,
        Workers::Auto => true,
    };
    match cli.bad_start.filter(|_| last) {
        None => {}
        Some(BadStart::Error) => {
            return Err(Box::new(io::Error::new(
                io::ErrorKind::NotFound,
                "no database",
            )));
        }
        Some(BadStart::ErrorAndJob) => {
            tokio::task::spawn_blocking(|| thread::sleep(Duration::from_secs(1000)));
            return Err("no luck".into());
        }
        Some(BadStart::Panic) => panic!("no settings"),
        Some(BadStart::Exit) => process::exit(7),
        Some(BadStart::Never) => std::future::pending().await,
    }
    if let Some(directory) = &cli.once {
        let file = directory.join(worker.slot().to_string());
        if File::create_new(file).is_err() {
            process::exit(3);
        }
    }
    let name = worker.server().to_owned();
    let threads = worker.config().thread_workers;
    let pool = BlockingPool::new(worker.config().thread_workers.max(1));
    worker.monitor(&pool);
    let blocking = BlockingLayer::new(&pool);
    let work = blocking_fn(|request: Request<Body>| work(number(request.uri())));
    let trickle = blocking_fn(|request: Request<Body>| trickle(number(request.uri())));
    Ok(Router::new()
        .route_service("/work/{ms}", blocking.layer(work))
        .route_service("/trickle/{ms}", blocking.layer(trickle))
        .route_service(
            "/panic",
            blocking.layer(blocking_fn(|_: Request<Body>| fail())),
        )
        .route("/", get(|| async { process::id().to_string() }))
        .route("/threads", get(move || async move { threads.to_string() }))
        .route("/name", get(|| async { name }))
        .route("/version", get(version))
        .route("/peer", get(peer))
        .route("/encrypted", get(encrypted))
        .route("/tls", get(tls))
        .route("/sleep/{ms}", get(sleep))
        .route("/block/{ms}", get(block))
        .route("/memory/{megabytes}", get(memory))
        .route("/orphan", get(orphan))
        .route("/child", get(child))
        .route("/files/fill", get(fill_files))
        .route("/files/close", get(close_files))
        .route("/upload", post(upload))
        .route("/request", any(describe))
        .route("/hold", any(hold))
        .route("/ws", get(websocket))
        .route("/ws/tungstenite", get(tungstenite))
        .route("/bytes/{count}", get(bytes)))
}

/// The last part of the path.
fn number(target: &Uri) -> u64 {
    let last = target.path().rsplit('/').next();
    last.and_then(|last| last.parse().ok()).unwrap_or_default()
}

type Done<B> = Result<Response<B>, Infallible>;

/// Blocks one of the worker's threads.
fn work(ms: u64) -> Done<String> {
    thread::sleep(Duration::from_millis(ms));
    Ok(Response::new(process::id().to_string()))
}

/// What an application that is broken does.
fn fail() -> Done<String> {
    panic!("out of order")
}

/// Responses at once, and blocks one of the worker's threads with the body.
fn trickle(ms: u64) -> Done<Trickle> {
    Ok(Response::new(Trickle { ms }))
}

struct Trickle {
    /// What is left.
    ms: u64,
}

impl http_body::Body for Trickle {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        if self.ms == 0 {
            return Poll::Ready(None);
        }
        let pause = self.ms.min(50);
        self.ms -= pause;
        thread::sleep(Duration::from_millis(pause));
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"x")))))
    }
}

async fn obey(file: &std::path::Path, slot: usize) -> Result<(), BoxError> {
    let mut said = false;
    loop {
        let text = std::fs::read_to_string(file)?;
        let mut words = text.split_whitespace().rev();
        let word = words.next().unwrap_or_default();
        if words.next().is_some_and(|only| only != slot.to_string()) {
            return Ok(());
        }
        match word {
            "exit" => process::exit(7),
            "error" => return Err("no database".into()),
            "never" => std::future::pending().await,
            "wait" => {
                if !std::mem::replace(&mut said, true) {
                    let line = format!("waiting slot={slot} waiting_pid={}\n", process::id());
                    // At once: other workers say something, too.
                    io::stderr().write_all(line.as_bytes())?;
                }
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            _ => return Ok(()),
        }
    }
}

async fn peer(Extension(connection): Extension<ConnectInfo>) -> String {
    let address = |address: Option<std::net::SocketAddr>| {
        address.map_or("none".into(), |address| address.to_string())
    };
    let path = connection.unix_path();
    format!(
        "peer={} local={} unix={}",
        address(connection.peer()),
        address(connection.local()),
        path.map_or("none".into(), |path| path.display().to_string()),
    )
}

async fn encrypted(Extension(connection): Extension<ConnectInfo>) -> String {
    connection.is_encrypted().to_string()
}

/// What is known of the client's TLS.
async fn tls(Extension(connection): Extension<ConnectInfo>) -> String {
    let Some(tls) = connection.tls() else {
        return String::new();
    };
    let client = tls.client().map(|client| {
        let pem = client.pem().len();
        let (subject, issuer, serial) = (client.subject(), client.issuer(), client.serial());
        format!("subject={subject} issuer={issuer} serial={serial} pem={pem}")
    });
    format!(
        "{} {} name={} {}",
        tls.version(),
        tls.cipher_suite(),
        tls.server_name().unwrap_or("none"),
        client.unwrap_or_else(|| "no client".to_owned())
    )
}

/// What the program that was started calls itself.
async fn version() -> String {
    std::env::var("PROBE_VERSION").unwrap_or_default()
}

/// Waits as async code should.
async fn sleep(Path(ms): Path<u64>) -> String {
    tokio::time::sleep(Duration::from_millis(ms)).await;
    process::id().to_string()
}

/// Blocks the event loop.
async fn block(Path(ms): Path<u64>) -> &'static str {
    eprintln!("blocking the event loop");
    thread::sleep(Duration::from_millis(ms));
    "blocked"
}

/// Allocates this many bytes of memory, and keeps them.
async fn memory(Path(megabytes): Path<usize>) -> String {
    let taken = vec![1_u8; megabytes << 20].leak();
    taken.len().to_string()
}

/// All of it at once.
async fn bytes(Path(count): Path<usize>) -> Vec<u8> {
    vec![b'x'; count]
}

/// Leaves a process behind, which ends at once.
async fn orphan() {
    let started = Command::new("sh").args(["-c", "(exit 3) &"]).status();
    started.expect("there is a shell");
}

/// What signals mean to a process that is started here.
async fn child() -> String {
    let output = Command::new("grep")
        .args(["^Sig", "/proc/self/status"])
        .output();
    String::from_utf8(output.expect("there is grep").stdout).expect("text")
}

/// Every descriptor that the process may have.
static FILES: Mutex<Vec<File>> = Mutex::new(Vec::new());

async fn fill_files() {
    let open = std::iter::from_fn(|| File::open("/dev/null").ok());
    FILES.lock().expect("nobody panics with it").extend(open);
}

async fn close_files() {
    FILES.lock().expect("nobody panics with it").clear();
}

async fn upload(body: Body) -> Result<String, String> {
    let bytes = to_bytes(body, usize::MAX).await;
    bytes
        .map(|bytes| bytes.len().to_string())
        .map_err(|error| error.to_string())
}

/// The request as the service sees it: its line, and its fields.
async fn describe(request: Request<Body>) -> String {
    let mut text = format!(
        "{} {} {:?}\n",
        request.method(),
        request.uri(),
        request.version()
    );
    for (name, value) in request.headers() {
        text += &format!("{name}: {}\n", String::from_utf8_lossy(value.as_bytes()));
    }
    text
}

/// Neither reads the body nor responds.
async fn hold(_: Request<Body>) -> String {
    std::future::pending().await
}

/// Sends messages back, by axum's own WebSocket. `pid` gets the process, and `bye` the end.
async fn websocket(upgrade: WebSocketUpgrade) -> axum::response::Response {
    upgrade.on_upgrade(async |mut socket: WebSocket| {
        while let Some(Ok(message)) = socket.next().await {
            let reply = match &message {
                Message::Text(text) if *text == "pid" => Message::text(process::id().to_string()),
                Message::Text(text) if *text == "bye" => Message::Close(None),
                Message::Text(_) | Message::Binary(_) => message,
                Message::Ping(_) | Message::Pong(_) | Message::Close(_) => continue,
            };
            if socket.send(reply).await.is_err() {
                break;
            }
        }
        told("axum");
    })
}

/// The same by hyper-tungstenite.
async fn tungstenite(request: Request<Body>) -> Result<Response<Body>, String> {
    use hyper_tungstenite::tungstenite::Message;

    let upgraded = hyper_tungstenite::upgrade(request, None);
    let (response, websocket) = upgraded.map_err(|error| error.to_string())?;
    tokio::spawn(async move {
        let mut socket = websocket.await.expect("the connection is upgraded");
        while let Some(Ok(message)) = socket.next().await {
            let is_close = matches!(&message, Message::Text(text) if text.as_str() == "bye");
            let sent = match message {
                _ if is_close => socket.close(None).await,
                message if message.is_text() || message.is_binary() => socket.send(message).await,
                _ => Ok(()),
            };
            if sent.is_err() {
                break;
            }
        }
        told("tungstenite");
    });
    Ok(response.map(Body::new))
}

/// Tells the test that a WebSocket has ended, as the service sees it.
fn told(kind: &str) {
    let line = format!("websocket ended kind={kind}\n");
    let _ = io::stderr().write_all(line.as_bytes());
}
