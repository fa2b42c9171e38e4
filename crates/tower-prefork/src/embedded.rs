//! A server inside a program that does something else besides.

use std::{future::Future, slice};

use crate::{
    Server,
    config::check_files,
    listener::Bound,
    server_log,
    start::check,
    worker::{self, Alone},
};
use tower_serve::BoxError;

impl Server {
    /// Serves on the calling thread until `stop` is ready: for the tests of an application, and for a
    /// program that does something else besides.
    ///
    /// There is no supervisor and no worker, whatever is set, and signals are left to the program. So are its
    /// user, its umask, a pid file and a control socket; `shutdown_delay` is for those who stop by signals.
    /// `ready` gets the addresses, with the ports that they really have, before the first connection is
    /// accepted: `http://127.0.0.1:41234`, with a certificate `https://…`, or `unix:` and a path.
    ///
    /// Then the listeners close, and what runs may finish until the
    /// [deadline](crate::Config::graceful_timeout), as at `SIGTERM`. Gives the number of requests that
    /// the deadline cut; a thread that is still at work for one of them stays until it is done.
    ///
    /// ```
    /// use std::{io::{Read, Write}, net::TcpStream, sync::mpsc, thread};
    /// use axum::{Router, routing::get};
    /// use tower_prefork::{BoxError, Server};
    ///
    /// let (ready, address) = mpsc::sync_channel(1);
    /// let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    /// let serving = thread::spawn(move || {
    ///     Server::new("hello")
    ///         .bind("127.0.0.1:0")
    ///         .service(|_worker| async {
    ///             Ok::<_, BoxError>(Router::new().route("/", get(|| async { "hello" })))
    ///         })
    ///         .run_until(
    ///             async { drop(stopped.await) },
    ///             move |addresses| drop(ready.send(addresses)),
    ///         )
    /// });
    ///
    /// let addresses = address.recv().unwrap();
    /// let mut client = TcpStream::connect(addresses[0].trim_start_matches("http://")).unwrap();
    /// client.write_all(b"GET / HTTP/1.1\r\nHost: test\r\nConnection: close\r\n\r\n").unwrap();
    /// let mut answer = String::new();
    /// client.read_to_string(&mut answer).unwrap();
    /// assert!(answer.ends_with("\r\n\r\nhello"));
    ///
    /// drop(stop);
    /// assert_eq!(serving.join().unwrap().unwrap(), 0);
    /// ```
    ///
    /// # Errors
    ///
    /// When it cannot start: what is configured makes no sense, an address is taken, or the service
    /// cannot be built.
    ///
    /// # Panics
    ///
    /// On a thread that runs a tokio event loop already.
    pub fn run_until(
        self,
        stop: impl Future<Output = ()>,
        ready: impl FnOnce(Vec<String>) + 'static,
    ) -> Result<usize, BoxError> {
        let _serving = server_log::serving();
        let (mut resolved, _) = check(slice::from_ref(&self))?;
        #[cfg(feature = "tls")]
        for server in &mut resolved {
            server.read_certificate()?;
        }
        let resolved = resolved.pop().ok_or("no settings")?;
        let phases = self.phases;
        check_files(resolved.server(), &resolved.config)?;
        let alone = Alone {
            bound: resolved.bind(&Bound::default())?,
            name: self.name,
            config: resolved.config,
            application: self.application.ok_or("nothing to serve")?,
        };
        worker::run_until(alone, phases, stop, ready)
    }
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        future::{pending, ready},
        io::{Read, Write},
        net::TcpStream,
        sync::{Arc, Mutex, mpsc},
        thread,
        time::{Duration, Instant},
    };

    use axum::{Router, routing::get};
    use tokio::sync::oneshot;

    use super::*;
    use crate::Phase;

    const PATIENCE: Duration = Duration::from_secs(60);

    fn server(router: Router) -> Server {
        Server::new("test")
            .bind("127.0.0.1:0")
            .service(|_| async { Ok::<_, Infallible>(router) })
    }

    fn client(address: &str) -> TcpStream {
        let address = address.strip_prefix("http://").unwrap();
        let client = TcpStream::connect(address).unwrap();
        client.set_read_timeout(Some(PATIENCE)).unwrap();
        client
    }

    #[test]
    fn a_running_request_finishes_and_then_nobody_listens() {
        let (called, calls) = mpsc::sync_channel(1);
        let (finish, finished) = oneshot::channel::<()>();
        let finished = Mutex::new(Some(finished));
        let slow = move || {
            let finished = finished.lock().unwrap().take().unwrap();
            called.send(()).unwrap();
            async { finished.await.map_or("", |()| "done") }
        };
        let slow = Arc::new(slow);
        let (ready, address) = mpsc::sync_channel(1);
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = thread::spawn(move || {
            server(Router::new().route("/", get(move || slow()))).run_until(
                async { drop(stopped.await) },
                move |addresses| {
                    ready.send(addresses).unwrap();
                },
            )
        });

        let addresses = address.recv_timeout(PATIENCE).unwrap();
        let [address] = &*addresses else {
            panic!("one address, not {addresses:?}")
        };
        let mut client = client(address);
        client
            .write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n")
            .unwrap();
        calls.recv_timeout(PATIENCE).unwrap();
        drop(stop);
        let end = Instant::now() + PATIENCE;
        while TcpStream::connect(address.strip_prefix("http://").unwrap()).is_ok() {
            assert!(Instant::now() < end, "it still listens");
            thread::yield_now();
        }
        finish.send(()).unwrap();
        let mut answer = String::new();
        client.read_to_string(&mut answer).unwrap();
        assert!(answer.ends_with("done"), "{answer}");
        assert_eq!(serving.join().unwrap().unwrap(), 0);
    }

    #[test]
    fn what_the_deadline_cuts_is_counted() {
        let (called, calls) = mpsc::sync_channel(1);
        let stuck = move || {
            called.send(()).unwrap();
            pending::<()>()
        };
        let (ready, address) = mpsc::sync_channel(1);
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = thread::spawn(move || {
            server(Router::new().route("/", get(stuck)))
                .configure(|config| config.graceful_timeout = Duration::ZERO)
                .run_until(async { drop(stopped.await) }, move |addresses| {
                    ready.send(addresses).unwrap();
                })
        });
        let mut client = client(&address.recv_timeout(PATIENCE).unwrap()[0]);
        client
            .write_all(b"GET / HTTP/1.1\r\nhost: test\r\n\r\n")
            .unwrap();
        calls.recv_timeout(PATIENCE).unwrap();
        drop(stop);
        assert_eq!(serving.join().unwrap().unwrap(), 1);
    }

    #[test]
    fn what_keeps_it_from_starting_is_told() {
        let fail = |server: Server| {
            let error = server.run_until(pending(), |_| panic!("it is not ready"));
            error.unwrap_err().to_string()
        };
        assert!(fail(Server::new("test")).contains("test: nothing to serve"));
        assert!(fail(server(Router::new()).bind("nowhere")).contains("nowhere"));
        let broken = Server::new("test").bind("127.0.0.1:0");
        let broken = broken.service(|_| async { Err::<Router, _>("no database") });
        assert!(fail(broken).contains("no database"));
    }

    #[test]
    fn its_phases_can_be_watched() {
        let server = server(Router::new());
        let phases = server.phases();
        let in_ready = phases.clone();
        let seen = Arc::new(Mutex::new(None));
        let phase = seen.clone();
        assert_eq!(*phases.borrow(), Phase::Starting);
        let served = server.run_until(ready(()), move |_| {
            *phase.lock().unwrap() = Some(*in_ready.borrow());
        });
        assert_eq!(served.unwrap(), 0);
        assert_eq!(*seen.lock().unwrap(), Some(Phase::Ready));
        assert_eq!(*phases.borrow(), Phase::Stopped);
    }

    #[test]
    fn it_may_be_told_to_stop_before_it_is_ready() {
        let served = server(Router::new()).run_until(ready(()), |_| {});
        assert_eq!(served.unwrap(), 0);
    }
}
