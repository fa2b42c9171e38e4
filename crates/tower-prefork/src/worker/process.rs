//! The life of a worker process.

use std::{
    io,
    os::fd::OwnedFd,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
    time::Duration,
};

use rustix::io::Errno;
use tokio::time::{MissedTickBehavior, interval};
use tower_serve::{
    BoxError, Load,
    internal::{log_writer, threads},
};

use super::{
    WorkerContext,
    runtime::{self, exit_if_event_loop_panics},
    serve::{Application, ServeParams},
    shutdown::ShutdownHandle,
    stats::worker_stats,
};
#[cfg(feature = "tls")]
use crate::control::read_certificates;
use crate::{
    config::Config,
    control::{Socket, ToSupervisor, ToWorker},
    error::Reason,
    listener::Listener,
    signals::{Signals, StopRequest, ignore_stray_signals, leave_to_supervisor},
    system::{Announcer, Title},
};

/// The interval of heartbeats.
const HEARTBEAT: Duration = Duration::from_secs(1);

/// Runs a worker process to its end, with one of these applications, each with the name of its server. The supervisor gets
/// the error as well.
pub(crate) fn run(
    applications: Vec<(String, Application)>,
    socket: Socket,
    stop_request: StopRequest,
) -> Result<(), String> {
    let socket = Arc::new(socket);
    exit_if_event_loop_panics(Some(socket.clone()));
    serve(applications, &socket, stop_request).map_err(|error| {
        let reason = Reason::of(&*error);
        let text = reason.report("");
        let _ = socket.send(&ToSupervisor::failed(reason), &[]);
        text
    })
}

fn serve(
    applications: Vec<(String, Application)>,
    socket: &Arc<Socket>,
    stop_request: StopRequest,
) -> Result<(), BoxError> {
    let Some(start) = receive_start(socket)? else {
        // The supervisor is already gone.
        return Ok(());
    };
    let WorkerStart {
        server: name,
        slot,
        config,
        listeners,
    } = start;
    Title::worker(&name, slot).set();
    let mut applications = applications.into_iter();
    let application = applications.find_map(|(server, one)| (server == name).then_some(one));
    let application =
        application.ok_or_else(|| format!("this program has no server {name:?} any more"))?;

    let graceful_timeout = config.graceful_timeout;
    let threads = config.thread_workers;
    let worker = WorkerContext::new(&name, slot, config);
    let announcer = Announcer::within(worker.own_phases().clone());
    let shutdown = ShutdownHandle::of_worker(socket.clone(), announcer, graceful_timeout);
    let drain = shutdown.drain_requests();
    receive_messages(socket.clone(), shutdown.clone(), worker.clone())?;
    let runtime = runtime::build(threads)?;
    leave_to_supervisor(&runtime)?;
    ignore_stray_signals(&runtime)?;
    let params = ServeParams {
        worker: worker.clone(),
        listeners,
        supervisor: Some(socket.clone()),
        drain: drain.clone(),
        stop_request,
        ready: {
            let (worker, socket) = (worker.clone(), socket.clone());
            let shutdown = shutdown.clone();
            Box::new(move |load| begin(worker, load, socket, &shutdown))
        },
    };
    let serving = || runtime.block_on(application.serve(params));
    let served = catch_unwind(AssertUnwindSafe(serving));
    let served = served.unwrap_or_else(|panic| runtime::exit(Some(socket), &*panic));
    if let Ok(requests) = served {
        // Before the wait for jobs that no client waits for any more.
        shutdown.report(requests);
    }
    runtime::finish(
        runtime,
        drain.borrow().map(|request| request.deadline),
        [&worker],
    );
    served.map(drop)
}

/// What this worker is to serve.
struct WorkerStart {
    server: String,
    slot: usize,
    config: Config,
    listeners: Vec<Listener>,
}

/// Receives the first message; `None` if the supervisor has died.
fn receive_start(socket: &Socket) -> Result<Option<WorkerStart>, BoxError> {
    match socket.recv()? {
        Some((
            ToWorker::Start {
                server,
                slot,
                config,
                passed,
                redirects,
                certificates,
            },
            mut fds,
        )) => {
            let certificates = if certificates { fds.pop() } else { None };
            let config = Config::from_message(config)?;
            #[cfg(feature = "tls")]
            let config = with_certificates(config, certificates)?;
            #[cfg(not(feature = "tls"))]
            drop(certificates);
            let listeners = fds.into_iter().enumerate().map(|(index, fd)| {
                let is_passed = passed >> index & 1 == 1;
                let redirects = redirects >> index & 1 == 1;
                let listener = Listener::from_fd(fd)?.passed_if(is_passed);
                Ok(listener.redirects_if(redirects))
            });
            let listeners: io::Result<_> = listeners.collect();
            Ok(Some(WorkerStart {
                server,
                slot,
                config,
                listeners: listeners?,
            }))
        }
        Some((_, _)) => Err("the first message of the supervisor is not a start".into()),
        None => Ok(None),
    }
}

/// The settings with the certificates in this file.
#[cfg(feature = "tls")]
fn with_certificates(mut config: Config, file: Option<OwnedFd>) -> Result<Config, BoxError> {
    if let (Some(tls), Some(file)) = (&mut config.tls, file) {
        tls.set_material(read_certificates(file)?);
    }
    Ok(config)
}

/// Starts the thread that receives the supervisor's messages, even while the event loop is stuck.
fn receive_messages(
    socket: Arc<Socket>,
    shutdown: ShutdownHandle,
    worker: WorkerContext,
) -> io::Result<()> {
    let receive = move || {
        loop {
            match socket.recv() {
                Ok(Some((ToWorker::Drain { milliseconds }, _))) => {
                    shutdown.drain_last(Duration::from_millis(milliseconds));
                }
                Ok(Some((
                    ToWorker::Retire {
                        milliseconds,
                        idle_milliseconds,
                        queues,
                    },
                    _,
                ))) => shutdown.retire_within(
                    Duration::from_millis(milliseconds),
                    Duration::from_millis(idle_milliseconds),
                    queues,
                ),
                Ok(Some((ToWorker::ReopenLogs, _))) => log_writer::reopen_all(),
                Ok(Some((ToWorker::NotReady, _))) => shutdown.not_ready(),
                Ok(Some((ToWorker::Shed { connections }, _))) => shutdown.shed(connections),
                Ok(Some((ToWorker::Certificates, fds))) => change_certificates(&worker, fds),
                Ok(Some((ToWorker::Start { .. }, _))) => {}
                Err(error) if error.kind() == io::ErrorKind::InvalidData => {
                    tracing::warn!(%error, "invalid message of the supervisor ignored");
                }
                Ok(None) | Err(_) => break,
            }
        }
        tracing::debug!("the supervisor has ended");
        shutdown.drain();
    };
    threads::start("control", receive)
}

/// New connections get the certificates in this file.
fn change_certificates(worker: &WorkerContext, fds: Vec<OwnedFd>) {
    #[cfg(feature = "tls")]
    for file in fds {
        match read_certificates(file) {
            Ok(material) => worker.change_certificates(material),
            Err(error) => tracing::error!(%error, "certificates of the supervisor cannot be read"),
        }
    }
    #[cfg(not(feature = "tls"))]
    let (WorkerContext { .. }, _) = (worker, fds);
}

/// The service is built: reports that to the supervisor, and sends a heartbeat every second.
fn begin(worker: WorkerContext, load: Load, socket: Arc<Socket>, shutdown: &ShutdownHandle) {
    shutdown.begin(load.clone());
    // The program's own request to stop goes to the supervisor, so that the next worker is ready before this one stops.
    match Signals::new(StopRequest::default()) {
        Ok(signals) => drop(tokio::spawn(shutdown.clone().handle_signals(signals))),
        Err(error) => tracing::error!(%error, "cannot handle signals"),
    }
    let _ = socket.send(&ToSupervisor::Ready, &[]);
    let shutdown = shutdown.clone();
    tokio::spawn(async move {
        let mut beats = interval(HEARTBEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            beats.tick().await;
            let heartbeat = ToSupervisor::Heartbeat(worker_stats(&worker, &load));
            // It is lost if the supervisor does not read, which does not wait for it then.
            match socket.send(&heartbeat, &[]) {
                Err(error) if is_lost(&error) => {
                    tracing::error!(
                        %error,
                        "the supervisor cannot be reached, because the application has closed a file descriptor that \
                         is not its own; this worker exits"
                    );
                    shutdown.drain();
                    break;
                }
                _ => {}
            }
            // The previous request to shed connections is outdated.
            load.shed(0);
        }
    });
}

/// Whether the descriptor was closed or replaced. The end of the supervisor is noticed by another thread.
fn is_lost(error: &io::Error) -> bool {
    let error = error.raw_os_error().map(Errno::from_raw_os_error);
    matches!(
        error,
        Some(Errno::BADF | Errno::NOTSOCK | Errno::NOTCONN | Errno::INVAL | Errno::OPNOTSUPP)
    )
}
