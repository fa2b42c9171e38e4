use tempfile::TempDir;
use tests::{Address, Client, Port, Running, wait_until};

/// A proxy that runs in front of servers.
pub(crate) struct Proxy {
    running: Running,
    port: Port,
    /// Where its files are.
    _directory: TempDir,
}

impl Proxy {
    /// Waits until it responds.
    pub(crate) fn new(running: Running, port: Port, directory: TempDir) -> Self {
        let proxy = Self {
            running,
            port,
            _directory: directory,
        };
        wait_until("a response through the proxy", || {
            let client = Client::try_connect(proxy.port.address());
            client
                .and_then(|mut client| client.get("/"))
                .is_ok_and(|response| response.status == 200)
        });
        proxy
    }

    /// Where its clients connect to.
    pub(crate) fn address(&self) -> Address {
        Address::Tcp(self.port.address())
    }

    /// The worker that serves a request on a fresh connection.
    pub(crate) fn pid(&self) -> String {
        Client::connect(self.port.address())
            .get("/")
            .unwrap()
            .text()
    }

    /// Its log of errors and of servers that come and go.
    pub(crate) fn log(&self) -> String {
        self.running.log().join("\n")
    }
}
