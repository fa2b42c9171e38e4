//! The WSGI application: one function for each path, which block or compute, and respond in pieces; `/listen` responds later.

use std::{
    fs::File,
    io::{BufRead as _, BufReader, Read as _},
    path::PathBuf,
};

use bytes::Bytes;
use futures_util::{StreamExt as _, stream};
use http::Method;
use tokio::sync::broadcast::{self, error::RecvError};
use tower_wsgi::{
    BoxError,
    wsgi::{Application, Deferred, Environ, Reply, StartResponse},
};

const TEXT: [(&str, &str); 1] = [("content-type", "text/plain; charset=utf-8")];

/// The number of texts that a listener may be behind.
const MAX_SAID: usize = 100;

type Piece = Result<Bytes, BoxError>;

/// The application.
pub(crate) struct App {
    /// The file whose lines `/news` sends.
    news: PathBuf,
    /// What `/say` has sent to the listeners of this process.
    said: broadcast::Sender<Bytes>,
}

impl App {
    pub(crate) fn new(news: PathBuf) -> Self {
        let (said, _) = broadcast::channel(MAX_SAID);
        Self { news, said }
    }
}

impl Application for App {
    type Chunks = Box<dyn Iterator<Item = Piece> + Send>;

    fn call(
        &self,
        mut environ: Environ,
        start_response: StartResponse,
    ) -> Result<Reply<Self::Chunks>, BoxError> {
        let method = environ.method().clone();
        let chunks: Response = match &*environ.path_info() {
            b"/" => about(&environ, &start_response),
            b"/squares" => squares(&environ, &start_response),
            b"/report" => report(&environ, &start_response),
            b"/news" => self.news(&start_response),
            b"/program" => program(&start_response),
            b"/listen" => return Ok(Reply::Deferred(self.listen(&environ, &start_response)?)),
            b"/say" => self.say(&environ, &start_response),
            b"/count" if method == Method::POST || method == Method::PUT => {
                count(&mut environ, &start_response)
            }
            b"/count" => {
                start_response.start("405 Method Not Allowed", [("allow", "POST, PUT")])?;
                Ok(Box::new(std::iter::empty()))
            }
            _ => {
                start_response.start("404 Not Found", TEXT)?;
                Ok(one("There is nothing at this address.\n"))
            }
        };
        chunks.map(Reply::Chunks)
    }
}

type Response = Result<<App as Application>::Chunks, BoxError>;

/// Sends the variables of the request.
fn about(environ: &Environ, start_response: &StartResponse) -> Response {
    let mut text = Vec::new();
    for (name, value) in environ.variables() {
        text.extend_from_slice(format!("{name}: ").as_bytes());
        text.extend_from_slice(&value);
        text.push(b'\n');
    }
    start_response.start("200 OK", TEXT)?;
    Ok(one(text))
}

/// Sends one line after another, each computed when the previous one is sent.
fn squares(environ: &Environ, start_response: &StartResponse) -> Response {
    let (to, fail) = (number(environ, "to"), number(environ, "fail"));
    start_response.start("200 OK", TEXT)?;
    Ok(Box::new((1..=to).map(move |n| {
        if n == fail {
            return Err(format!("the number {n} was asked to fail").into());
        }
        Ok(square(n).into())
    })))
}

/// Sends the same by `write`, for code that cannot be an iterator.
fn report(environ: &Environ, start_response: &StartResponse) -> Response {
    let (to, fail) = (number(environ, "to"), number(environ, "fail"));
    let write = start_response.start("200 OK", TEXT)?;
    for n in 1..=to {
        if n == fail {
            return Err(format!("the number {n} was asked to fail").into());
        }
        write.write(square(n))?;
    }
    Ok(Box::new(std::iter::empty()))
}

/// Counts the bytes of the request. A client that expects `100 Continue` gets it at the first read.
fn count(environ: &mut Environ, start_response: &StartResponse) -> Response {
    if environ.get("HTTP_X_REFUSE").is_some() {
        start_response.start("403 Forbidden", TEXT)?;
        return Ok(one("Nothing was read.\n"));
    }
    let mut bytes: u64 = 0;
    let mut buffer = vec![0; 64 << 10];
    loop {
        match environ.input().read(&mut buffer)? {
            0 => break,
            count => bytes += count as u64,
        }
    }
    start_response.start("200 OK", TEXT)?;
    Ok(one(format!("{bytes} bytes\n")))
}

/// Sends the file of the program itself.
fn program(start_response: &StartResponse) -> Response {
    let file = File::open(std::env::current_exe()?)?;
    start_response.start("200 OK", [("content-type", "application/octet-stream")])?;
    start_response.send_file(file)?;
    Ok(Box::new(std::iter::empty()))
}

impl App {
    /// Sends what others say, for any time. The event loop waits for it, so a listener holds no thread.
    fn listen(
        &self,
        environ: &Environ,
        start_response: &StartResponse,
    ) -> Result<Deferred, BoxError> {
        let said = self.said.subscribe();
        start_response.start("200 OK", TEXT)?;
        let said = stream::unfold(said, |mut said| async {
            let text = match said.recv().await {
                Ok(text) => Ok(text),
                Err(RecvError::Lagged(_)) => Err("the listener reads too slowly".into()),
                Err(RecvError::Closed) => return None,
            };
            Some((text, said))
        });
        // The head is sent with the first piece.
        let greeting = match environ.query_string() {
            "silently" => Bytes::new(),
            _ => Bytes::from("listening\n"),
        };
        Ok(start_response.defer(stream::iter([Ok(greeting)]).chain(said)))
    }

    /// Sends the query to all listeners, and responds with their number.
    fn say(&self, environ: &Environ, start_response: &StartResponse) -> Response {
        let text = format!("{}\n", environ.query_string());
        let listeners = self.said.send(text.into()).unwrap_or(0);
        start_response.start("200 OK", TEXT)?;
        Ok(one(format!("{listeners} listeners\n")))
    }

    /// Sends each line when it arrives, until the end of the file.
    fn news(&self, start_response: &StartResponse) -> Response {
        let mut news = None;
        let path = self.news.clone();
        let mut next = move || -> Result<Bytes, BoxError> {
            let news = match &mut news {
                Some(news) => news,
                // Opening a named pipe waits for its writer.
                None => news.insert(BufReader::new(File::open(&path)?)),
            };
            let mut line = Vec::new();
            news.read_until(b'\n', &mut line)?;
            Ok(line.into())
        };
        start_response.start("200 OK", TEXT)?;
        Ok(Box::new(std::iter::from_fn(move || {
            next()
                .map(|line| (!line.is_empty()).then_some(line))
                .transpose()
        })))
    }
}

fn one(text: impl Into<Bytes>) -> Box<dyn Iterator<Item = Piece> + Send> {
    Box::new(std::iter::once(Ok(text.into())))
}

fn square(n: u64) -> String {
    format!("{n} squared is {}\n", u128::from(n) * u128::from(n))
}

/// A number of the query; 0 if there is none.
fn number(environ: &Environ, name: &str) -> u64 {
    let mut query = form_urlencoded::parse(environ.query_string().as_bytes());
    let value = query.find(|(key, _)| key == name);
    value.and_then(|(_, value)| value.parse().ok()).unwrap_or(0)
}
