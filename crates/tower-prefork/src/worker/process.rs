use std::{
    io,
    panic::{AssertUnwindSafe, catch_unwind},
    process::ExitCode,
    sync::Arc,
    time::Duration,
};

use rustix::io::Errno;
use tokio::time::{MissedTickBehavior, interval};

use super::{
    WorkerContext,
    application::Job,
    broken::{end, end_when_broken},
    runtime,
    stop::Stop,
    vitals::vitals,
};
use crate::{
    Server,
    config::Config,
    control::{Socket, ToSupervisor, ToWorker},
    error::Reason,
    listener::Listener,
    signals::{Signals, leave_plans_to_supervisor},
    stop_request::StopRequest,
    stray_signals::ignore_stray_signals,
    system::{Announcer, Title},
};
use tower_serve::{
    BoxError, Load,
    internal::{log_writer, threads},
};

/// How often the supervisor hears that the event loop is alive.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// The whole life of a worker process.
pub(crate) fn run(servers: Vec<Server>, socket: Socket, stop_request: StopRequest) -> ExitCode {
    let socket = Arc::new(socket);
    end_when_broken(Some(socket.clone()));
    match serve(servers, &socket, stop_request) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // The supervisor tells the operator.
            let _ = socket.send(&ToSupervisor::failed(Reason::of(&*error)), &[]);
            ExitCode::FAILURE
        }
    }
}

fn serve(
    servers: Vec<Server>,
    socket: &Arc<Socket>,
    stop_request: StopRequest,
) -> Result<(), BoxError> {
    let Some(start) = start_message(socket)? else {
        // The supervisor is gone already.
        return Ok(());
    };
    let Start {
        server: name,
        slot,
        config,
        listeners,
    } = start;
    Title::worker(&name, slot).set();
    let server = servers.into_iter().find(|server| server.name == name);
    let server = server.ok_or_else(|| format!("this program has no server {name:?} any more"))?;
    let application = server.application.ok_or("no service was given")?;

    let graceful_timeout = config.graceful_timeout;
    let threads = config.thread_workers;
    let worker = WorkerContext::new(&name, slot, config);
    let announcer = Announcer::within(worker.own_phases().clone());
    let stop = Stop::of_worker(socket.clone(), announcer, graceful_timeout);
    let drain = stop.watch();
    listen_to_supervisor(socket.clone(), stop.clone())?;
    let runtime = runtime::build(threads)?;
    leave_plans_to_supervisor(&runtime)?;
    ignore_stray_signals(&runtime)?;
    let job = Job {
        worker: worker.clone(),
        listeners,
        supervisor: Some(socket.clone()),
        stop: drain.clone(),
        stop_request,
        ready: {
            let (worker, socket, stop) = (worker.clone(), socket.clone(), stop.clone());
            Box::new(move |load| begin(worker, load, socket, &stop))
        },
    };
    let serving = || runtime.block_on(application.serve(job));
    let served = catch_unwind(AssertUnwindSafe(serving));
    let served = served.unwrap_or_else(|panic| end(Some(socket), &*panic));
    if let Ok(requests) = served {
        // Before the wait for jobs that no client waits for any more.
        stop.report(requests);
    }
    runtime::finish(
        runtime,
        drain.borrow().map(|drain| drain.deadline),
        [&worker],
    );
    served.map(drop)
}

/// What a worker is to be.
struct Start {
    server: String,
    slot: usize,
    config: Config,
    listeners: Vec<Listener>,
}

/// What this worker is to be; `None` when the supervisor has died.
fn start_message(socket: &Socket) -> Result<Option<Start>, BoxError> {
    match socket.recv()? {
        Some((
            ToWorker::Start {
                server,
                slot,
                config,
                passed,
            },
            fds,
        )) => {
            let listeners = fds.into_iter().enumerate().map(|(index, fd)| {
                let is_passed = passed >> index & 1 == 1;
                Ok(Listener::from_fd(fd)?.passed_if(is_passed))
            });
            let listeners: io::Result<_> = listeners.collect();
            Ok(Some(Start {
                server,
                slot,
                config: config.into(),
                listeners: listeners?,
            }))
        }
        Some((_, _)) => Err("the supervisor did not say what to start".into()),
        None => Ok(None),
    }
}

/// Starts the thread that hears the supervisor, also while the event loop is stuck.
fn listen_to_supervisor(socket: Arc<Socket>, stop: Stop) -> io::Result<()> {
    let listen = move || {
        loop {
            match socket.recv() {
                Ok(Some((ToWorker::Drain { milliseconds }, _))) => {
                    stop.drain_for_good(Duration::from_millis(milliseconds));
                }
                Ok(Some((
                    ToWorker::Retire {
                        milliseconds,
                        idle_milliseconds,
                        queues,
                    },
                    _,
                ))) => stop.retire_within(
                    Duration::from_millis(milliseconds),
                    Duration::from_millis(idle_milliseconds),
                    queues,
                ),
                Ok(Some((ToWorker::ReopenLogs, _))) => log_writer::reopen_all(),
                Ok(Some((ToWorker::NotReady, _))) => stop.not_ready(),
                Ok(Some((ToWorker::Shed { connections }, _))) => stop.shed(connections),
                Ok(Some((ToWorker::Start { .. }, _))) => {}
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    tracing::warn!(%error, "the supervisor sent a message that is not understood");
                }
                Ok(None) | Err(_) => break,
            }
        }
        tracing::debug!("the supervisor has ended");
        stop.drain();
    };
    threads::start("control", listen)
}

/// The service is built: tells the supervisor, now and every second.
fn begin(worker: WorkerContext, load: Load, socket: Arc<Socket>, stop: &Stop) {
    stop.begin(load.clone());
    // What the program asks of itself goes to the supervisor: the next worker is ready before this one stops.
    match Signals::new(StopRequest::default()) {
        Ok(signals) => drop(tokio::spawn(stop.clone().obey(signals))),
        Err(error) => tracing::error!(%error, "cannot take signals"),
    }
    let _ = socket.send(&ToSupervisor::Ready, &[]);
    let stop = stop.clone();
    tokio::spawn(async move {
        let mut beats = interval(HEARTBEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            beats.tick().await;
            let heartbeat = ToSupervisor::Heartbeat(vitals(&worker, &load));
            // Lost when the supervisor does not read; then nobody waits for it, either.
            match socket.send(&heartbeat, &[]) {
                Err(error) if is_lost(&error) => {
                    tracing::error!(
                        %error,
                        "the supervisor cannot be reached: the application has closed a file descriptor that is \
                         not its own; this worker ends"
                    );
                    stop.drain();
                    break;
                }
                _ => {}
            }
            // What was to be shed after the last one is no longer true.
            load.shed(0);
        }
    });
}

/// Whether the descriptor is not what it was. The end of the supervisor is heard elsewhere.
fn is_lost(error: &io::Error) -> bool {
    let error = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(
        error,
        Some(Errno::BADF | Errno::NOTSOCK | Errno::NOTCONN | Errno::INVAL | Errno::OPNOTSUPP)
    )
}
