use tests::Signal;

use crate::probe;

#[test]
fn the_supervisor_tells_of_each_process() {
    let mut running = probe("-w 1 --tell-steps").start();
    let _ = running.ready();
    let first = running.workers().remove(0);
    running.signal(Signal::HUP);
    running.wait_for("retired worker ended");
    let second = running.workers().remove(0);
    second.signal(Signal::KILL);
    running.wait_for("killed by SIGKILL");
    let _ = running.wait_for_count("worker replaced", 2);
    let third = running.workers().remove(0);
    running.signal(Signal::TERM);
    running.exit();
    let _ = running.wait_for_count("step: Ended", 3);

    let pids = [first.pid(), second.pid(), third.pid()];
    let steps = |pid: i32| {
        let log = running.log();
        let of_pid = format!("pid: {pid}, step: ");
        let hooks = log.iter().filter_map(|line| line.strip_prefix("hook "));
        let steps = hooks.filter_map(|line| line.split_once(&of_pid));
        let steps = steps.map(|(_, step)| step.trim_end_matches(" }").to_owned());
        steps.collect::<Vec<_>>().join(", ")
    };
    let drained = "Started, Ready, Draining, Ended { cause: \"exited with code 0\"";
    assert_eq!(steps(pids[0]), drained);
    assert_eq!(
        steps(pids[1]),
        "Started, Ready, Ended { cause: \"killed by SIGKILL\""
    );
    assert_eq!(steps(pids[2]), drained);
}
