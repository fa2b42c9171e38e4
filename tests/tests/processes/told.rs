//! A server whose workers start as a file says.

use std::{fs, net::SocketAddr};

use tempfile::TempDir;
use tests::{Client, Process, Running, Signal};

use crate::{field, probe};

/// A server whose workers do at each start what a file says.
pub(crate) struct Told {
    pub(crate) running: Running,
    pub(crate) address: SocketAddr,
    directory: TempDir,
}

impl Told {
    pub(crate) fn start(arguments: &str) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("start");
        fs::write(&file, "").unwrap();
        let running = probe(arguments).arg("--start").arg(&file).start();
        Self {
            address: running.ready(),
            running,
            directory,
        }
    }

    /// From now on each start does this.
    pub(crate) fn tell(&self, what: &str) {
        // In one step: a worker may be reading it.
        let new = self.directory.path().join("new");
        fs::write(&new, what).unwrap();
        fs::rename(new, self.directory.path().join("start")).unwrap();
    }

    pub(crate) fn reload(&self) {
        self.running.signal(Signal::HUP);
    }

    /// Waits for the start of a worker that waits, the one after `before` others.
    pub(crate) fn waiting(&self, before: usize) -> Process {
        let lines = self.running.wait_for_count("waiting_pid=", before + 1);
        let pid = field(&lines[before], "waiting_pid").parse().unwrap();
        Process::open(pid).expect("it waits")
    }

    pub(crate) fn get(&self, path: &str) -> String {
        Client::connect(self.address).get(path).unwrap().text()
    }
}
