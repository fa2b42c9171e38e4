use std::collections::HashSet;

use tempfile::TempDir;
use tests::{Address, Load, Port, Process, Running, Signal, stress, wait_until};

use crate::{proxy::Proxy, shop};

/// Starts a proxy in front of one server or two; `None` where it is not installed.
type Start = fn(&[Address]) -> Option<Proxy>;

const CLIENTS: usize = 18;

/// One server is reloaded over and over, over TCP and over a Unix socket. Returns the log of the proxy.
pub(crate) fn reloads(start: Start) -> Option<String> {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("socket");
    let unix = format!("unix:{}", path.display());
    // As in the test of reloads under load.
    let reloads = stress("STRESS_RELOADS", 5);
    let build = stress("STRESS_BUILD_MS", 200);
    let mut log = String::new();
    for (workers, bind) in [(2, "127.0.0.1:0"), (4, &unix)] {
        let arguments = format!("-w {workers} --slow-start {build} -b");
        let server = shop(directory.path(), &arguments).arg(bind).start();
        server.wait_for(" ready ");
        let address = if bind == unix {
            Address::Unix(path.clone())
        } else {
            Address::Tcp(server.ready())
        };
        let proxy = start(&[address])?;
        let load = Load::start(CLIENTS, &[proxy.address()]);
        let mut generations = Vec::new();
        for count in 1..=reloads {
            generations.extend(pids(&server));
            server.signal(Signal::HUP);
            let _ = server.wait_for_count(" reloaded ", count);
        }
        // The last generation has responded, too.
        responded_by(&proxy, &server);
        let seen = load.stop();
        println!(
            "{workers} workers: {} responses of {} workers, the longest after {:?}",
            seen.responses,
            seen.pids.len(),
            seen.longest
        );
        seen.assert_nothing_failed();
        let responded = |pid: &&String| seen.pids.contains(*pid);
        let responded = generations.iter().filter(responded).count();
        assert!(
            responded > reloads,
            "{responded} of {generations:?} have responded"
        );
        log += &proxy.log();
    }
    Some(log)
}

/// Each of two servers is stopped and started again, one after the other. Returns the log of the proxy.
pub(crate) fn restarts(start: Start) -> Option<String> {
    let places = [(), ()].map(|()| (tempfile::tempdir().unwrap(), Port::take()));
    let server = |(directory, port): &(TempDir, Port)| {
        let arguments = format!("-w 2 -b {}", port.address());
        let server = shop(directory.path(), &arguments).start();
        let _ = server.ready();
        server
    };
    let mut servers = places.each_ref().map(server);
    let addresses = places
        .each_ref()
        .map(|(_, port)| Address::Tcp(port.address()));
    let proxy = start(&addresses)?;
    let load = Load::start(CLIENTS, &[proxy.address()]);
    for _ in 0..stress("STRESS_RESTARTS", 1) {
        for (running, place) in servers.iter_mut().zip(&places) {
            responded_by(&proxy, running);
            running.signal(Signal::TERM);
            assert_eq!(running.exit().code(), Some(0));
            let log = running.log().join("\n");
            assert!(!log.contains("WARN") && !log.contains("ERROR"), "{log}");
            *running = server(place);
            // So the proxy knows that it is back.
            responded_by(&proxy, running);
        }
    }
    let seen = load.stop();
    println!(
        "{} responses, the longest after {:?}",
        seen.responses, seen.longest
    );
    seen.assert_nothing_failed();
    Some(proxy.log())
}

/// Waits until a worker of this server has responded through the proxy.
fn responded_by(proxy: &Proxy, server: &Running) {
    let pids: HashSet<_> = pids(server).into_iter().collect();
    wait_until("a response of the server", || pids.contains(&proxy.pid()));
}

fn pids(server: &Running) -> Vec<String> {
    let workers = server.workers();
    workers
        .iter()
        .map(Process::pid)
        .map(|pid| pid.to_string())
        .collect()
}
