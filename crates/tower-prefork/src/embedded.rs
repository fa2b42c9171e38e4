//! A server on a thread of a program that also does other things.

use std::{future::Future, slice};

use crate::{
    config::check_files,
    error::{Error, Reason},
    listener::Bound,
    server::Server,
    server_log,
    start::check,
    worker::{self, Standalone},
};

impl Server {
    /// Serves on the calling thread until `stop` is ready. This is for the tests of an application, and for a program that
    /// also does other things.
    ///
    /// There is no supervisor and no worker process, and signals are left to the program. The settings of the whole program
    /// have no effect (user, group, umask, pid file, control socket), nor has `shutdown_delay`. `ready` is called with the
    /// addresses before the first connection is accepted; they contain the actual ports: `http://127.0.0.1:41234`,
    /// `https://…` with a certificate, or `unix:` and a path.
    ///
    /// When `stop` is ready, the listeners close, and running requests may finish until the
    /// [deadline](crate::Config::graceful_timeout), as at `SIGTERM`. Returns the number of requests that the deadline has
    /// cut. Their threads are not interrupted.
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
    /// let mut response = String::new();
    /// client.read_to_string(&mut response).unwrap();
    /// assert!(response.ends_with("\r\n\r\nhello"));
    ///
    /// drop(stop);
    /// assert_eq!(serving.join().unwrap().unwrap(), 0);
    /// ```
    ///
    /// # Errors
    ///
    /// If it cannot start: the settings are invalid, an address is in use, or the service cannot be built.
    ///
    /// # Panics
    ///
    /// On a thread of a tokio runtime.
    pub fn run_until(
        self,
        stop: impl Future<Output = ()>,
        ready: impl FnOnce(Vec<String>) + 'static,
    ) -> Result<usize, Error> {
        let _serving = server_log::serving();
        let (mut resolved, _) = check(slice::from_ref(&self)).map_err(Error::config)?;
        #[cfg(feature = "tls")]
        for server in &mut resolved {
            server.read_certificates().map_err(Error::start)?;
        }
        let server = resolved.pop().zip(self.application);
        let (resolved, application) = server.ok_or_else(|| Error::config("nothing to serve"))?;
        check_files(resolved.server(), &resolved.config).map_err(Error::start)?;
        let server = Standalone {
            bound: resolved.bind(&Bound::default()).map_err(Error::start)?,
            name: self.name,
            config: resolved.config,
            application,
        };
        worker::run_until(server, self.phases, stop, ready)
            .map_err(|error| Error::start(Reason::of(&*error).report("")))
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
    fn a_running_request_finishes_after_the_listeners_are_closed() {
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
        let mut response = String::new();
        client.read_to_string(&mut response).unwrap();
        assert!(response.ends_with("done"), "{response}");
        assert_eq!(serving.join().unwrap().unwrap(), 0);
    }

    #[test]
    fn requests_that_the_deadline_cuts_are_counted() {
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
    fn a_failed_start_is_an_error() {
        let fail = |server: Server| {
            let result = server.run_until(pending(), |_| panic!("it is not ready"));
            let error = result.unwrap_err();
            (error.to_string(), error.is_config())
        };
        let (error, is_config) = fail(Server::new("test"));
        assert!(error.contains("test: nothing to serve") && is_config);
        let (error, is_config) = fail(server(Router::new()).bind("nowhere"));
        assert!(error.contains("nowhere") && is_config);
        let broken = Server::new("test").bind("127.0.0.1:0");
        let broken = broken.service(|_| async { Err::<Router, _>("no database") });
        let (error, is_config) = fail(broken);
        assert!(error.contains("no database") && !is_config);
    }

    #[test]
    fn its_phases_can_be_observed() {
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
    fn it_may_stop_before_it_is_ready() {
        let served = server(Router::new()).run_until(ready(()), |_| {});
        assert_eq!(served.unwrap(), 0);
    }
}
