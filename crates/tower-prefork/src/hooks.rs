//! Hooks: functions of the application that the server calls.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::Arc,
};

use tower_serve::{ConnectInfo, ConnectionHooks, ConnectionStep, internal::panic_text};

/// A step in the life of a worker: see [`WorkerContext::on_step`](crate::WorkerContext::on_step).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum WorkerStep {
    /// The service is built; the worker is about to accept connections.
    Ready,
    /// The worker accepts no more connections: the program stops, or another worker has taken over.
    Draining,
    /// Its requests are complete, or were cut at the deadline. A process that is killed does not reach this step.
    Exiting,
}

/// A step in the life of a worker process, as the supervisor sees it: see
/// [`Server::on_process`](crate::Server::on_process).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ProcessEvent<'a> {
    /// The name of the server.
    pub server: &'a str,
    /// The number of the worker, from 0.
    pub slot: usize,
    /// The process id.
    pub pid: i32,
    /// What has happened.
    pub step: ProcessStep<'a>,
}

/// What has happened to a worker process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum ProcessStep<'a> {
    /// It was executed, and will build the service.
    Started,
    /// It serves.
    Ready,
    /// It finishes its requests, and accepts no new connections.
    Draining,
    /// It has ended.
    Ended {
        /// The cause as in the log: `exited with code 0`, or `killed by SIGKILL: out of memory`.
        cause: &'a str,
    },
}

type OnStep = dyn Fn(WorkerStep) + Send + Sync;
type OnProcess = dyn Fn(ProcessEvent<'_>) + Send + Sync;

/// The hooks of a server's processes.
#[derive(Clone, Default)]
pub(crate) struct ProcessHooks(Vec<Arc<OnProcess>>);

impl ProcessHooks {
    pub(crate) fn add(&mut self, hook: Arc<OnProcess>) {
        self.0.push(hook);
    }

    pub(crate) fn call(&self, event: ProcessEvent<'_>) {
        for hook in &self.0 {
            guard(|| hook(event));
        }
    }
}

impl fmt::Debug for ProcessHooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ProcessHooks").finish_non_exhaustive()
    }
}

/// The hooks of a worker.
#[derive(Clone, Default)]
pub(crate) struct WorkerHooks {
    on_connection: ConnectionHooks,
    on_step: Vec<Arc<OnStep>>,
}

impl WorkerHooks {
    pub(crate) fn add_on_connection(
        &mut self,
        hook: impl Fn(&ConnectInfo, ConnectionStep) + Send + Sync + 'static,
    ) {
        self.on_connection.on_connection(hook);
    }

    pub(crate) fn add_on_step(&mut self, hook: Arc<OnStep>) {
        self.on_step.push(hook);
    }

    /// The hooks of connections, to be set.
    pub(crate) fn of_connections_mut(&mut self) -> &mut ConnectionHooks {
        &mut self.on_connection
    }

    /// The hooks of connections.
    pub(crate) fn of_connections(&self) -> ConnectionHooks {
        self.on_connection.clone()
    }

    pub(crate) fn step(&self, step: WorkerStep) {
        for hook in &self.on_step {
            guard(|| hook(step));
        }
    }
}

impl fmt::Debug for WorkerHooks {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WorkerHooks").finish_non_exhaustive()
    }
}

/// Logs a panic of a hook.
fn guard(call: impl FnOnce()) {
    if let Err(panic) = catch_unwind(AssertUnwindSafe(call)) {
        tracing::error!(panic = panic_text(&*panic), "a hook panicked");
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Mutex;

    use super::*;

    #[test]
    fn all_hooks_are_called_even_if_one_panics() {
        let calls = Arc::new(Mutex::new(Vec::new()));
        let mut hooks = WorkerHooks::default();
        hooks.add_on_step(Arc::new(|_| panic!("out of order")));
        hooks.add_on_step({
            let calls = calls.clone();
            Arc::new(move |step| calls.lock().unwrap().push(step))
        });
        hooks.step(WorkerStep::Ready);
        hooks.step(WorkerStep::Draining);
        assert_eq!(
            *calls.lock().unwrap(),
            [WorkerStep::Ready, WorkerStep::Draining]
        );
    }
}
