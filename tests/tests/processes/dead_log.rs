//! Standard error that cannot be written costs no response, and stops no command of the operator.

use std::{
    fs::{self, File},
    io::{self, PipeReader, PipeWriter, Write},
    os::fd::OwnedFd,
    path::Path,
    time::Duration,
};

use tempfile::TempDir;
use tests::{Client, Port, Process, Program, Running, Signal, wait_until};

use crate::probe;

/// What is wrong with standard error.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Broken {
    /// It has no reader any more.
    Gone,
    /// Its reader leaves while the program runs.
    Leaves,
    /// Its reader hangs.
    Full,
    /// It was closed before the program started.
    Closed,
    /// It is a file on a disk that is full.
    DiskFull,
    /// It is well, and the log is a file on such a disk.
    LogFile,
    /// It is well, and the log is a file of the largest size that the system allows.
    FileSize,
}

const ALL: [Broken; 7] = [
    Broken::Gone,
    Broken::Leaves,
    Broken::Full,
    Broken::Closed,
    Broken::DiskFull,
    Broken::LogFile,
    Broken::FileSize,
];

const GRACEFUL_TIMEOUT: u64 = 5;

/// A server of which the log is broken.
struct Server {
    running: Running,
    port: Port,
    directory: TempDir,
    /// The other end of standard error, if it is open.
    reader: Option<PipeReader>,
}

impl Server {
    fn start(broken: Broken, workers: usize) -> Self {
        let (port, directory) = (Port::take(), tempfile::tempdir().unwrap());
        let probe_path = env!("CARGO_BIN_EXE_probe");
        let mut program = match broken {
            Broken::Closed => Program::new("/bin/sh")
                .arg("-c")
                .arg("exec \"$0\" \"$@\" 2>&-")
                .arg(probe_path),
            Broken::FileSize => Program::new("/bin/sh")
                .arg("-c")
                .arg("ulimit -f 8 && exec \"$0\" \"$@\"")
                .arg(probe_path),
            _ => Program::new(probe_path),
        };
        let (reader, writer) = io::pipe().unwrap();
        if broken == Broken::Full {
            fill(&writer);
        }
        let writer = OwnedFd::from(writer);
        let mut reader = Some(reader);
        program = match broken {
            Broken::DiskFull => {
                program.stderr(File::options().write(true).open("/dev/full").unwrap())
            }
            Broken::LogFile => program.args("--log-file /dev/full").stderr(writer),
            Broken::FileSize => {
                let log = directory.path().join("log");
                // The limit is in blocks of 512 bytes.
                fs::write(&log, [b'x'; 8 * 512]).unwrap();
                program.arg("--log-file").arg(log).stderr(writer)
            }
            _ => program.stderr(writer),
        };
        if broken == Broken::Gone {
            reader = None;
        }
        let running = program
            .args(&format!(
                "-w {workers} -b {} --graceful-timeout {GRACEFUL_TIMEOUT} --log-level debug",
                port.address()
            ))
            .arg("--pid-file")
            .arg(directory.path().join("pid"))
            .start();
        let mut this = Self {
            running,
            port,
            directory,
            reader,
        };
        wait_until("the server serves", || this.serves());
        if broken == Broken::Leaves {
            this.reader = None;
        }
        this
    }

    /// Whether a new client gets a response.
    fn serves(&self) -> bool {
        let client = Client::try_connect(self.port.address());
        client.is_ok_and(|mut client| {
            client
                .get("/name")
                .is_ok_and(|response| response.status == 200)
        })
    }

    fn status(&self, path: &str) -> u16 {
        Client::connect(self.port.address())
            .get(path)
            .unwrap()
            .status
    }

    /// Waits until these workers have been replaced by as many others, which serve.
    fn replaced(&self, before: &[Process]) {
        let before: Vec<_> = before.iter().map(Process::pid).collect();
        wait_until("other workers serve", || {
            let workers = self.running.workers();
            let is_new = |worker: &Process| !before.contains(&worker.pid());
            workers.len() == before.len() && workers.iter().all(is_new) && self.serves()
        });
    }

    fn pid_file(&self) -> Option<i32> {
        let text = fs::read_to_string(self.directory.path().join("pid")).ok()?;
        text.trim().parse().ok()
    }
}

/// Fills a pipe, whose reader does not read. Afterwards a write waits.
fn fill(mut writer: &PipeWriter) {
    rustix::io::ioctl_fionbio(writer, true).unwrap();
    while writer.write(&[b'x'; 4096]).is_ok() {}
    while writer.write(b"x").is_ok() {}
    rustix::io::ioctl_fionbio(writer, false).unwrap();
}

#[test]
fn a_log_that_cannot_be_written_stops_nothing() {
    for broken in ALL {
        println!("{broken:?}");
        let mut server = Server::start(broken, 2);
        assert_eq!(server.status("/name"), 200);
        for _ in 0..3 {
            assert_eq!(server.status("/panic"), 500);
        }
        let workers = server.running.workers();
        assert_eq!(workers.len(), 2);
        workers
            .iter()
            .for_each(|worker| worker.signal(Signal::KILL));
        server.replaced(&workers);

        let workers = server.running.workers();
        for process in workers.iter().chain([server.running.process()]) {
            process.signal(Signal::USR1);
        }
        assert_eq!(server.status("/name"), 200);
        server.running.signal(Signal::HUP);
        server.replaced(&workers);

        // A worker that gets the signal itself.
        let worker = server.running.workers().remove(0);
        worker.signal(Signal::TERM);
        assert!(worker.ends_within(tests::PATIENCE));

        let before = server.pid_file().unwrap();
        server.running.signal(Signal::USR2);
        wait_until("a new supervisor takes over", || {
            // Held until the end of the test.
            let _ = server.running.workers();
            server.pid_file().is_some_and(|pid| pid != before)
        });
        let successor = server.pid_file().unwrap();
        server.running.upgraded_to(successor);
        assert!(server.serves());
        assert_eq!(server.status("/panic"), 500);

        let workers = server.running.workers();
        server.running.signal(Signal::TERM);
        let limit = Duration::from_secs(GRACEFUL_TIMEOUT + 2);
        assert!(server.running.process().ends_within(limit), "{broken:?}");
        for worker in workers {
            assert!(worker.ends_within(limit), "{broken:?}");
        }
    }
}

#[test]
fn it_stops_nothing_without_workers_either() {
    for broken in ALL {
        println!("{broken:?}");
        let mut server = Server::start(broken, 0);
        assert_eq!(server.status("/panic"), 500);
        server.running.signal(Signal::USR1);
        server.running.signal(Signal::HUP);
        assert_eq!(server.status("/name"), 200);
        server.running.signal(Signal::TERM);
        let limit = Duration::from_secs(GRACEFUL_TIMEOUT + 2);
        assert!(server.running.process().ends_within(limit), "{broken:?}");
        assert_eq!(server.running.exit().code(), Some(0), "{broken:?}");
    }
}

#[test]
fn a_second_signal_ends_a_server_at_once_whose_log_hangs() {
    for workers in [1, 0] {
        let mut server = Server::start(Broken::Full, workers);
        let mut client = Client::connect(server.port.address());
        client
            .send("GET /sleep/100000 HTTP/1.1\r\nhost: test\r\n\r\n")
            .unwrap();
        assert_eq!(server.status("/name"), 200);
        server.running.signal(Signal::TERM);
        wait_until("it does not listen", || !server.serves());
        server.running.signal(Signal::TERM);
        let at_once = Duration::from_secs(GRACEFUL_TIMEOUT - 1);
        assert!(server.running.process().ends_within(at_once));
        assert_eq!(server.running.exit().code(), Some(0));
    }
}

#[test]
fn why_it_does_not_start_is_not_waited_for() {
    for broken in [Broken::Gone, Broken::Full] {
        let (reader, writer) = io::pipe().unwrap();
        if broken == Broken::Full {
            fill(&writer);
        }
        let reader = (broken == Broken::Full).then_some(reader);
        let program = probe("-w 1 --bad-start error").stderr(OwnedFd::from(writer));
        let mut running = program.start();
        assert_eq!(running.exit().code(), Some(1), "{broken:?}");
        drop(reader);
    }
}

#[test]
fn the_access_log_may_be_a_pipe_that_nobody_reads() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("access.fifo");
    let mode = rustix::fs::Mode::RUSR | rustix::fs::Mode::WUSR;
    rustix::fs::mkfifoat(rustix::fs::CWD, &path, mode).unwrap();
    let start = |arguments: &str| probe(arguments).arg("--access-log").arg(&path).start();
    let mut running = start("-w 1");
    let mut client = running.client();
    assert_eq!(client.get("/name").unwrap().status, 200);
    let worker = running.workers().remove(0);
    running.signal(Signal::USR1);
    running.wait_for("log files opened again");
    running.signal(Signal::HUP);
    running.wait_for("reloaded");
    assert!(worker.ends_within(tests::PATIENCE));
    assert_eq!(running.client().get("/name").unwrap().status, 200);
    // What it holds is there for a reader that comes late.
    assert!(first_line(&path).contains("\"GET /name HTTP/1.1\" 200"));
    running.signal(Signal::TERM);
    assert_eq!(running.exit().code(), Some(0));
}

fn first_line(path: &Path) -> String {
    let mut line = String::new();
    let mut file = io::BufReader::new(File::open(path).unwrap());
    io::BufRead::read_line(&mut file, &mut line).unwrap();
    line
}
