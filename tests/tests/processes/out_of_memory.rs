use std::{
    fs, io,
    path::{Path, PathBuf},
    process,
};

use tests::{Client, Program, skip};

const LIMIT: usize = 96 << 20;

/// A cgroup with little memory. It is removed at the end of the test.
struct Cgroup(PathBuf);

impl Cgroup {
    /// An error where this user, or this machine, has no cgroups to make.
    fn new() -> io::Result<Self> {
        let (root, limit) = if Path::new("/sys/fs/cgroup/memory").exists() {
            ("/sys/fs/cgroup/memory", "memory.limit_in_bytes")
        } else {
            ("/sys/fs/cgroup", "memory.max")
        };
        let directory = format!("tower-prefork-test-{}", process::id());
        let directory = Path::new(root).join(directory);
        fs::create_dir(&directory)?;
        let cgroup = Self(directory);
        fs::write(cgroup.0.join(limit), LIMIT.to_string())?;
        // Absent where memory is not swapped.
        let _ = fs::write(cgroup.0.join("memory.swap.max"), "0");
        Ok(cgroup)
    }
}

impl Drop for Cgroup {
    fn drop(&mut self) {
        // Processes that were killed leave it a little later than they end.
        for _ in 0..1000 {
            if fs::remove_dir(&self.0).is_ok() {
                break;
            }
            std::thread::yield_now();
        }
    }
}

#[test]
fn a_worker_that_the_kernel_kills_for_its_memory() {
    let cgroup = match Cgroup::new() {
        Ok(cgroup) => cgroup,
        Err(error) => return skip(&format!("no cgroup can be made here: {error}")),
    };
    let enter = format!(
        "echo $$ > {}/cgroup.procs && exec \"$0\" \"$@\"",
        cgroup.0.display()
    );
    let program = Program::new("/bin/sh")
        .arg("-c")
        .arg(enter)
        .arg(env!("CARGO_BIN_EXE_probe"))
        .args("-w 1 -b 127.0.0.1:0");
    let running = program.start();
    let address = running.ready();
    let megabytes = (2 * LIMIT) >> 20;
    let response = Client::connect(address).get(&format!("/memory/{megabytes}"));
    assert!(response.is_err(), "{response:?}");
    let deaths = running.wait_for_count("worker died", 1);
    assert!(
        deaths[0].contains("killed by SIGKILL: out of memory"),
        "{}",
        deaths[0]
    );

    // That was the one; this is another.
    running.wait_for("worker replaced");
    running.workers()[0].signal(tests::Signal::KILL);
    let deaths = running.wait_for_count("worker died", 2);
    assert!(!deaths[1].contains("out of memory"), "{}", deaths[1]);
    drop(running);
}
