//! The load: requests over some connections, each with the next request after the last answer.

use std::{
    os::unix::process::CommandExt as _,
    process::Command,
    time::{Duration, Instant},
};

use benches::{HELLO, runtime};
use futures_util::future::try_join_all;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    time::timeout,
};

use crate::Error;

/// For answers after the end of the load. An answer that takes longer is an error.
const PATIENCE: Duration = Duration::from_secs(5);

/// `wrk` in place of this process, which has been pinned.
pub(crate) fn run_wrk(address: &str, seconds: &str, connections: &str) -> Result<(), Error> {
    let url = format!("http://{address}/");
    let arguments = ["-t", "1", "-c", connections, "-d", seconds, &url];
    Err(Command::new("wrk").args(arguments).exec().into())
}

/// The load of our own, which reads every answer. It reports in the words of `wrk`.
pub(crate) fn run(address: &str, millis: &str, connections: &str) -> Result<(), Error> {
    let duration = Duration::from_millis(millis.parse()?);
    let connections: usize = connections.parse()?;
    let start = Instant::now();
    let until = start + duration;
    let counts = runtime(1).block_on(async {
        let connections = (0..connections).map(|_| connection(address, until));
        timeout(duration + PATIENCE, try_join_all(connections)).await
    });
    let counts =
        counts.map_err(|_| format!("no answer within {} seconds", PATIENCE.as_secs()))??;
    let requests: u64 = counts.iter().sum();
    let seconds = start.elapsed().as_secs_f64();
    println!("{requests} requests in {seconds:.3}s");
    Ok(())
}

async fn connection(address: &str, until: Instant) -> Result<u64, Error> {
    let mut stream = TcpStream::connect(address).await?;
    stream.set_nodelay(true)?;
    let request = format!("GET / HTTP/1.1\r\nHost: {address}\r\n\r\n");
    let mut answer = Vec::with_capacity(1024);
    let mut count = 0;
    while Instant::now() < until {
        stream.write_all(request.as_bytes()).await?;
        answer.clear();
        while !is_whole(&answer)? {
            if stream.read_buf(&mut answer).await? == 0 {
                return Err("the server closed a connection".into());
            }
        }
        count += 1;
    }
    Ok(count)
}

/// Whether the right answer has arrived; an error if it is another.
fn is_whole(answer: &[u8]) -> Result<bool, Error> {
    const HEAD: &[u8] = b"HTTP/1.1 200 OK\r\n";
    let begins = answer.iter().zip(HEAD).all(|(given, right)| given == right);
    if !begins || answer.len() >= 1024 {
        let answer = String::from_utf8_lossy(answer);
        return Err(format!("a wrong answer: {answer}").into());
    }
    let body = answer.strip_suffix(HELLO.as_bytes());
    Ok(body.is_some_and(|head| head.ends_with(b"\r\n\r\n")))
}
