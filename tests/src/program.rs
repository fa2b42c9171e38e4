//! A program to start, and the running program with its output.

use std::{
    collections::BTreeMap,
    ffi::OsStr,
    io::{BufRead, BufReader},
    net::SocketAddr,
    path::PathBuf,
    process::{Child, ChildStdout, Command, ExitStatus, Stdio},
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    thread,
    time::{Duration, Instant},
};

use crate::{Client, PATIENCE, Process, Signal};

/// A program to start.
#[derive(Debug)]
pub struct Program(Command);

impl Program {
    /// The program at this path, with nothing on its standard input and an environment without
    /// this server's options.
    #[must_use]
    pub fn new(path: impl Into<PathBuf>) -> Self {
        let mut command = Command::new(path.into());
        for (name, _) in std::env::vars_os() {
            if name.to_string_lossy().starts_with("TOWER_PREFORK_") {
                command.env_remove(name);
            }
        }
        command.stdin(Stdio::null());
        command.stdout(Stdio::piped()).stderr(Stdio::piped());
        Self(command)
    }

    /// Adds arguments, separated by spaces.
    #[must_use]
    pub fn args(mut self, arguments: &str) -> Self {
        self.0.args(arguments.split_whitespace());
        self
    }

    /// Adds one argument, which may contain spaces.
    #[must_use]
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.0.arg(argument);
        self
    }

    /// Sets an environment variable.
    #[must_use]
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.0.env(name, value);
        self
    }

    /// Gives it this as its standard input.
    #[must_use]
    pub fn stdin(mut self, stdin: impl Into<Stdio>) -> Self {
        self.0.stdin(stdin);
        self
    }

    /// Gives it this as its standard error. Then its log is not read.
    #[must_use]
    pub fn stderr(mut self, stderr: impl Into<Stdio>) -> Self {
        self.0.stderr(stderr);
        self
    }

    /// Sets the directory that it runs in.
    #[must_use]
    pub fn directory(mut self, directory: impl Into<PathBuf>) -> Self {
        self.0.current_dir(directory.into());
        self
    }

    /// Starts it.
    ///
    /// # Panics
    ///
    /// When it cannot be started.
    #[must_use]
    pub fn start(mut self) -> Running {
        let mut child = self.0.spawn().expect("the program can be started");
        let process = Process::open(child.id().cast_signed()).expect("the program is not reaped");
        let log = Arc::new(Log::default());
        if let Some(stderr) = child.stderr.take() {
            let log = log.clone();
            thread::spawn(move || log.read(stderr));
        }
        Running {
            child,
            process,
            seen: Mutex::default(),
            log,
        }
    }

    /// Runs it to its end: the exit code and what it printed, standard output first.
    ///
    /// # Panics
    ///
    /// When it cannot be started, or does not end.
    #[must_use]
    pub fn run(self) -> (Option<i32>, String) {
        let mut running = self.start();
        let stdout = running.stdout();
        let stdout = std::io::read_to_string(stdout).expect("text");
        let code = running.exit().code();
        let log = running.log.wait_until(|log| log.ended.then_some(()));
        log.expect("standard error ends with the program");
        (code, stdout + &running.log().join("\n"))
    }
}

/// A program that runs. It and its workers are killed at the end of the test.
#[derive(Debug)]
pub struct Running {
    child: Child,
    process: Process,
    /// The workers that a test has looked at: they may outlive the supervisor.
    seen: Mutex<BTreeMap<i32, Process>>,
    log: Arc<Log>,
}

impl Running {
    /// The process that the test started: the supervisor.
    #[must_use]
    pub fn process(&self) -> &Process {
        &self.process
    }

    /// Sends a signal to the supervisor.
    pub fn signal(&self, signal: Signal) {
        self.process.signal(signal);
    }

    /// Its standard output, and that of its workers.
    ///
    /// # Panics
    ///
    /// When it was taken before.
    pub fn stdout(&mut self) -> ChildStdout {
        self.child.stdout.take().expect("stdout is piped")
    }

    /// The workers that run now.
    #[must_use]
    pub fn workers(&self) -> Vec<Process> {
        let workers = self.process.children();
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        seen.retain(|_, worker| !worker.ends_within(Duration::ZERO));
        for pid in workers.iter().map(Process::pid) {
            seen.extend(Process::open(pid).map(|worker| (pid, worker)));
        }
        workers
    }

    /// Waits until the server is ready, and gives its first TCP address.
    ///
    /// # Panics
    ///
    /// When it does not become ready.
    #[must_use]
    pub fn ready(&self) -> SocketAddr {
        self.wait_for(" ready ");
        let addresses = self.addresses();
        let tcp = |one: &String| {
            let address = one
                .strip_prefix("http://")
                .or(one.strip_prefix("https://"))?;
            Some(address.to_owned())
        };
        let address = addresses.iter().find_map(tcp);
        let address = address.expect("a TCP address");
        address.parse().expect("an address")
    }

    /// The addresses that were logged so far, as in the log.
    #[must_use]
    pub fn addresses(&self) -> Vec<String> {
        let mut addresses = Vec::new();
        for line in self.log() {
            if line.contains(" listening ") {
                let word = |word: &str| word.strip_prefix("address=").map(str::to_owned);
                addresses.extend(line.split_whitespace().find_map(word));
            }
        }
        addresses
    }

    /// A connection to the server's first address, after it is ready.
    ///
    /// # Panics
    ///
    /// When it does not become ready.
    #[must_use]
    pub fn client(&self) -> Client {
        Client::connect(self.ready())
    }

    /// The log so far: the lines of standard error.
    #[must_use]
    pub fn log(&self) -> Vec<String> {
        self.log.lock().lines.clone()
    }

    /// Waits for a line of the log that contains the text.
    ///
    /// # Panics
    ///
    /// When it does not come.
    pub fn wait_for(&self, text: &str) {
        let _ = self.wait_for_count(text, 1);
    }

    /// Waits for that many lines of the log that contain the text.
    ///
    /// # Panics
    ///
    /// When they do not come.
    #[must_use]
    pub fn wait_for_count(&self, text: &str, count: usize) -> Vec<String> {
        let found = self.log.wait_until(|log| {
            let lines = log.lines.iter().filter(|line| line.contains(text));
            let lines: Vec<_> = lines.cloned().collect();
            (lines.len() >= count).then_some(lines)
        });
        found.unwrap_or_else(|| {
            panic!(
                "{text:?} is not {count} times in the log:\n{}",
                self.log().join("\n")
            )
        })
    }

    /// Waits until another supervisor has taken over for the `count`th time, and the one before it has
    /// ended. From then on this is the other one.
    ///
    /// # Panics
    ///
    /// When it does not take over.
    pub fn upgraded(&mut self, count: usize) {
        let lines = self.wait_for_count("the new supervisor has taken over", count);
        let line = lines.last().expect("at least one upgrade");
        let pid = line
            .split_whitespace()
            .find_map(|word| word.strip_prefix("pid="));
        let pid = pid.and_then(|pid| pid.parse().ok()).expect("a pid");
        self.upgraded_to(pid);
    }

    /// Waits until the supervisor has ended, to which the one with this number is the successor. From then on this is
    /// the other one.
    ///
    /// # Panics
    ///
    /// When it does not end.
    pub fn upgraded_to(&mut self, pid: i32) {
        let successor = Process::open(pid).expect("the new supervisor runs");
        let before = std::mem::replace(&mut self.process, successor);
        assert!(
            before.ends_within(PATIENCE),
            "the old supervisor does not end:\n{}",
            self.log().join("\n")
        );
        // Only the first one is a child of the test.
        let _ = self.child.wait();
    }

    /// Waits until the supervisor has ended.
    ///
    /// # Panics
    ///
    /// When it does not end.
    pub fn exit(&mut self) -> ExitStatus {
        assert!(
            self.process.ends_within(PATIENCE),
            "the program does not end:\n{}",
            self.log().join("\n")
        );
        self.child.wait().expect("a child of the test")
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // Held before the supervisor's end, after which their numbers may be given to others.
        let _ = self.workers();
        self.process.signal(Signal::KILL);
        let seen = self.seen.get_mut().unwrap_or_else(PoisonError::into_inner);
        for worker in seen.values() {
            worker.signal(Signal::KILL);
        }
        let _ = self.child.wait();
        if thread::panicking() {
            eprintln!("the program's log:\n{}", self.log().join("\n"));
        }
    }
}

/// Standard error, line by line.
#[derive(Debug, Default)]
struct Log {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
struct State {
    lines: Vec<String>,
    ended: bool,
}

impl Log {
    fn read(&self, stderr: impl std::io::Read) {
        for line in BufReader::new(stderr).lines().map_while(Result::ok) {
            self.lock().lines.push(line);
            self.changed.notify_all();
        }
        self.lock().ended = true;
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Waits until `look` finds something, the log ends, or patience does.
    fn wait_until<T>(&self, look: impl Fn(&State) -> Option<T>) -> Option<T> {
        let end = Instant::now() + PATIENCE;
        let mut state = self.lock();
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let found = look(&state);
            if found.is_some() || state.ended || left == Duration::ZERO {
                return found;
            }
            let waited = self.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }
}
