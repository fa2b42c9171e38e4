//! A server process, from the outside.

use std::{
    env, fs,
    io::{BufRead as _, BufReader},
    process::{Child, Command, Stdio},
    thread,
};

use crate::{Error, serving::Case};

/// A server that runs; dropped, it ends.
pub(crate) struct Server {
    process: Child,
    /// `HOST:PORT`.
    pub(crate) address: String,
}

impl Server {
    pub(crate) fn start(case: Case) -> Result<Self, Error> {
        let mut process = Command::new(env::current_exe()?)
            .args(["--serve", &case.to_string()])
            .stdin(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()?;
        let log = process.stderr.take().ok_or("standard error is piped")?;
        let mut server = Self {
            process,
            address: String::new(),
        };
        let mut log = BufReader::new(log);
        let mut line = String::new();
        while server.address.is_empty() {
            line.clear();
            if log.read_line(&mut line)? == 0 {
                return Err("the server did not start".into());
            }
            match address(&line) {
                Some(address) => server.address = address,
                None => eprint!("{line}"),
            }
        }
        // Nobody else reads it, and a full pipe would stop the server.
        thread::spawn(move || {
            for line in log.lines().map_while(Result::ok) {
                if !line.contains(r#""level":"INFO""#) {
                    eprintln!("{line}");
                }
            }
        });
        Ok(server)
    }

    /// The processor time that it has used, in seconds.
    pub(crate) fn cpu_seconds(&self) -> Result<f64, Error> {
        let stat = fs::read_to_string(format!("/proc/{}/stat", self.process.id()))?;
        // The name of the program stands in parentheses, and may have spaces.
        let fields = stat.rsplit_once(')').map_or("", |(_, fields)| fields);
        let mut ticks = fields.split_whitespace().skip(11).take(2);
        let mut next = || Some(ticks.next()?.parse::<u32>().ok()?.into());
        let (user, system): (f64, f64) = next().zip(next()).ok_or("cannot read /proc/PID/stat")?;
        let ticks_per_second = u32::try_from(rustix::param::clock_ticks_per_second())?;
        Ok((user + system) / f64::from(ticks_per_second))
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The address in a line of the log.
fn address(line: &str) -> Option<String> {
    let event: serde_json::Value = serde_json::from_str(line).ok()?;
    let address = event.get("address")?.as_str()?;
    Some(address.strip_prefix("http://")?.to_owned())
}
