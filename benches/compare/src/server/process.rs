//! The start and the end of a server.

use std::{
    env, fs,
    fs::File,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    os::unix::process::CommandExt as _,
    path::{Path, PathBuf},
    process::{Child, Stdio},
    thread,
    time::{Duration, Instant},
};

use rustix::process::{Pid, Signal, kill_process, kill_process_group};

use super::tree::{self, Memory};
use crate::{
    Failure,
    case::{Contender, Mode},
    check, client,
    cores::{self, Side},
    places::Places,
    program::PORT,
};

/// For the first response of a server.
const START: Duration = Duration::from_secs(30);
/// For a server to end by itself.
const END: Duration = Duration::from_secs(5);

/// A server that runs; dropped, it ends.
pub(crate) struct Server {
    process: Child,
    pub(crate) address: SocketAddr,
    /// The time to its first response.
    pub(crate) started_in: Duration,
}

impl Server {
    /// Starts it, and waits until it gives the right response.
    pub(crate) fn start(
        contender: &Contender,
        mode: Mode,
        places: &Places,
    ) -> Result<Self, Failure> {
        let program = &contender.program;
        let address = free_address().map_err(|error| Failure(format!("no free port: {error}")))?;
        let port = address.port().to_string();
        let log = log_file(places, &program.name)?;
        let mut command = cores::command(&program.path, mode, Side::Server);
        command
            .args(
                program
                    .arguments
                    .iter()
                    .map(|argument| argument.replace(PORT, &port)),
            )
            .current_dir(Places::applications())
            .env("VIRTUAL_ENV", &places.python)
            .env("PATH", path(&places.python))
            .stdin(Stdio::null())
            // A group of its own, so that nothing of it stays behind.
            .process_group(0);
        let streams = File::create(&log).and_then(|file| Ok((file.try_clone()?, file)));
        let (output, errors) =
            streams.map_err(|error| Failure(format!("cannot write {}: {error}", log.display())))?;
        let begin = Instant::now();
        let process = command.stdout(output).stderr(errors).spawn();
        let process = process.map_err(|error| Failure(format!("it does not start: {error}")))?;
        let mut server = Self {
            process,
            address,
            started_in: Duration::ZERO,
        };
        server.wait_for_response(contender, begin, &log, places)?;
        Ok(server)
    }

    fn wait_for_response(
        &mut self,
        contender: &Contender,
        begin: Instant,
        log: &Path,
        places: &Places,
    ) -> Result<(), Failure> {
        loop {
            match client::ask(self.address, &contender.load, START, places) {
                Ok(response) => {
                    self.started_in = begin.elapsed();
                    return check::response(&response, &contender.load);
                }
                Err(error) if begin.elapsed() > START => {
                    return Err(Failure(format!("it gives no response: {error}")));
                }
                Err(_) if matches!(self.process.try_wait(), Ok(Some(_))) => {
                    let said = fs::read_to_string(log).unwrap_or_default();
                    let tells = |line: &&str| line.contains(char::is_alphabetic);
                    let last = said.lines().rfind(tells).unwrap_or("it says nothing");
                    let last = last.trim();
                    return Err(Failure(format!("it does not start: {last}")));
                }
                // Other programs do not report that they listen.
                Err(_) => thread::sleep(Duration::from_millis(1)),
            }
        }
    }

    /// The processor time that all its processes have used, in seconds.
    pub(crate) fn cpu_seconds(&self) -> f64 {
        tree::cpu_seconds(self.process.id())
    }

    /// The memory of all its processes.
    pub(crate) fn memory(&self) -> Memory {
        tree::memory(self.process.id())
    }

    /// The memory of its largest process that has no children: a worker.
    pub(crate) fn worker_memory(&self) -> Memory {
        tree::worker_memory(self.process.id())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let processes = tree::processes(self.process.id());
        let root = Pid::from_child(&self.process);
        let _ = kill_process(root, Signal::TERM);
        let end = Instant::now() + END;
        while Instant::now() < end && matches!(self.process.try_wait(), Ok(None)) {
            thread::sleep(Duration::from_millis(5));
        }
        // The remaining processes: in its group, or in one of their own.
        let _ = kill_process_group(root, Signal::KILL);
        for process in processes {
            if let Some(pid) = i32::try_from(process).ok().and_then(Pid::from_raw) {
                let _ = kill_process(pid, Signal::KILL);
            }
        }
        let _ = self.process.wait();
    }
}

fn free_address() -> std::io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()
}

/// The environment's programs first: some servers start others of it.
fn path(environment: &Path) -> std::ffi::OsString {
    let path = env::var_os("PATH").unwrap_or_default();
    let all = [environment.join("bin")]
        .into_iter()
        .chain(env::split_paths(&path));
    env::join_paths(all).unwrap_or(path.clone())
}

fn log_file(places: &Places, name: &str) -> Result<PathBuf, Failure> {
    fs::create_dir_all(&places.logs)
        .map_err(|error| Failure(format!("cannot make {}: {error}", places.logs.display())))?;
    let name: String = name
        .chars()
        .map(|c| if c.is_alphanumeric() { c } else { '-' })
        .collect();
    Ok(places.logs.join(name + ".log"))
}
