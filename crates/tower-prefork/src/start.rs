//! What is done before anything is served: the settings are checked, the machine is asked for what they
//! need, and the listeners are bound.

use std::{collections::HashMap, path::Path, process::ExitCode, sync::Arc};

use crate::{
    Config, Server,
    config::{self, ProgramConfig, ResolvedConfig},
    control::ToWorker,
    listener::Bound,
    operator::ControlSocket,
    phase::Phases,
    server_log,
    stop_request::StopRequest,
    supervisor::{self, Charge, Predecessor, Setup},
    system::{Announcer, Credentials, PidFile, Title, passed_sockets, set_umask},
    worker::{self, Alone},
};
use tower_serve::internal::log_writer::{self, Target};

/// Why the program ends.
#[derive(Debug)]
pub(crate) struct Failure {
    code: u8,
    error: String,
}

impl Failure {
    /// It cannot start, or cannot go on.
    pub(crate) fn of_start(error: String) -> Self {
        Self { code: 1, error }
    }

    /// What was configured makes no sense.
    fn of_settings(error: String) -> Self {
        Self { code: 2, error }
    }

    /// Tells the operator.
    pub(crate) fn report(self) -> ExitCode {
        server_log::last_words(&format!("error: {}", self.error));
        ExitCode::from(self.code)
    }
}

/// Serves until an operator stops the program.
pub(crate) fn start(
    servers: Vec<Server>,
    keeps_name: bool,
    phases: Phases,
    stop_request: StopRequest,
) -> Result<(), Failure> {
    let predecessor = Predecessor::inherited()
        .map_err(|error| Failure::of_start(format!("cannot take over: {error}")))?;
    let (all, program) = check(&servers).map_err(Failure::of_settings)?;
    let phases = phases.with(servers.iter().map(|server| &server.phases));
    let announcer = Announcer::of_program(phases);
    if all.iter().all(ResolvedConfig::is_standalone) {
        if predecessor.is_some() {
            let error = "0 workers cannot take over from a supervisor; stop it first, then start";
            return Err(Failure::of_settings(error.into()));
        }
        serve_alone(servers, all, &program, &announcer, stop_request)
    } else {
        Title::supervisor(&servers[0].name).set();
        supervise(
            servers,
            all,
            program,
            predecessor,
            keeps_name,
            announcer,
            stop_request,
        )
    }
    .map_err(Failure::of_start)
}

/// Serves in this process.
fn serve_alone(
    servers: Vec<Server>,
    all: Vec<ResolvedConfig>,
    program: &ProgramConfig,
    announcer: &Announcer,
    stop_request: StopRequest,
) -> Result<(), String> {
    set_umask(program.umask);
    let pid_file = program.pid_file.as_deref();
    let _pid_file = pid_file.map(PidFile::create).transpose()?;
    let mut passed = passed(&servers)?;
    let mut alone = Vec::new();
    for (server, mut resolved) in servers.into_iter().zip(all) {
        let passed = passed.remove(&server.name).unwrap_or_default();
        let bound = bind(&mut resolved, &passed, None)?;
        alone.push(Alone {
            name: server.name,
            config: resolved.config,
            application: server.application.ok_or("nothing to serve")?,
            bound,
        });
    }
    worker::run_single(alone, announcer, stop_request)
}

/// Serves in worker processes.
fn supervise(
    servers: Vec<Server>,
    all: Vec<ResolvedConfig>,
    program: Arc<ProgramConfig>,
    predecessor: Option<Predecessor>,
    keeps_name: bool,
    announcer: Announcer,
    stop_request: StopRequest,
) -> Result<(), String> {
    set_umask(program.umask);
    let credentials = Credentials::of(program.user.as_deref(), program.group.as_deref())?;
    let pid_file = match &predecessor {
        None => program
            .pid_file
            .as_deref()
            .map(PidFile::create)
            .transpose()?,
        // It is the other supervisor's until this one serves.
        Some(_) => None,
    };
    let control_socket = match (&program.control_socket, &predecessor) {
        (Some(path), Some(before)) if before.has_control_socket(path) => None,
        (path, _) => path.as_deref().map(ControlSocket::bind).transpose()?,
    };
    let mut passed = passed(&servers)?;
    let mut charges = Vec::new();
    for (server, mut resolved) in servers.into_iter().zip(all) {
        let passed = passed.remove(&server.name).unwrap_or_default();
        let before = predecessor.as_ref().and_then(|one| one.bound(&server.name));
        let before = before.unwrap_or(&passed);
        let bound = bind(&mut resolved, before, credentials.as_ref())?;
        charges.push(Charge {
            name: server.name,
            sources: server.sources,
            config: resolved.config,
            hooks: server.hooks,
            bound,
        });
    }
    supervisor::run(Setup {
        charges,
        config: program,
        credentials,
        keeps_name,
        announcer,
        pid_file,
        control_socket,
        predecessor,
        stop_request,
    })
}

/// What the service manager listens on for these servers.
fn passed(servers: &[Server]) -> Result<HashMap<String, Bound>, String> {
    let names: Vec<_> = servers.iter().map(|server| &*server.name).collect();
    passed_sockets(&names)
}

/// Listens for one server, and sees to the files that its workers need.
pub(crate) fn bind(
    resolved: &mut ResolvedConfig,
    before: &Bound,
    credentials: Option<&Credentials>,
) -> Result<Bound, String> {
    #[cfg(feature = "tls")]
    if resolved.read_certificate()? {
        ToWorker::check_start(resolved.server(), &resolved.config)
            .map_err(|problem| format!("{}: {problem}", resolved.place("tls_certificate")))?;
    }
    for (setting, target, path) in logs(&resolved.config) {
        prepare_log(&target, path, credentials)
            .map_err(|error| format!("{}: {error}", resolved.place(setting)))?;
    }
    config::check_files(resolved.server(), &resolved.config)?;
    let bound = resolved.bind(before)?;
    if let Some(owner) = credentials {
        owner.give_sockets(&bound)?;
    }
    Ok(bound)
}

/// The logs of a server: the names of their settings, where they go, and their files.
fn logs(config: &Config) -> impl Iterator<Item = (&'static str, Target, &Path)> {
    let access_log = config.access_log.as_ref().map(|log| {
        let path = log.path.as_path();
        ("access_log", Target::access_log(path), path)
    });
    #[cfg(feature = "cli")]
    let server_log = config.program.log_file.as_deref();
    #[cfg(feature = "cli")]
    let server_log = server_log.map(|path| ("log_file", Target::server_log(path), path));
    #[cfg(not(feature = "cli"))]
    let server_log = None;
    access_log.into_iter().chain(server_log)
}

/// Creates the file of a log, if need be, and gives it to those who write to it.
fn prepare_log(
    target: &Target,
    path: &Path,
    credentials: Option<&Credentials>,
) -> Result<(), String> {
    log_writer::check(target)?;
    credentials.map_or(Ok(()), |owner| owner.give_file(path))
}

/// Opens the files of the logs of this process again. Workers of another user find theirs there.
pub(crate) fn reopen_logs(config: &Config, credentials: Option<&Credentials>) {
    for (_, target, path) in logs(config) {
        if let Err(error) = prepare_log(&target, path, credentials) {
            tracing::warn!(error, "a log cannot be opened again");
        }
    }
    log_writer::reopen_all();
}

/// Checks what needs no look at the machine. Gives what each server, and the program, has come to.
pub(crate) fn check(
    servers: &[Server],
) -> Result<(Vec<ResolvedConfig>, Arc<ProgramConfig>), String> {
    if servers.is_empty() {
        return Err("no server was given; add one with Supervisor::server".into());
    }
    for (index, server) in servers.iter().enumerate() {
        let name = &server.name;
        if servers[..index].iter().any(|other| other.name == *name) {
            return Err(format!("{name}: two servers have this name"));
        }
        if server.application.is_none() {
            return Err(format!("{name}: nothing to serve; call Server::service"));
        }
    }
    let servers = servers.iter();
    let servers = servers.map(|server| (&*server.name, &server.sources));
    let (all, program) = config::resolve_all(servers)?;
    ToWorker::check_starts(&all)?;
    Ok((all, program))
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use super::*;

    fn server(name: &str) -> Server {
        Server::new(name).service(|_| async { Ok::<_, Infallible>(axum::Router::new()) })
    }

    fn refused(servers: &[Server]) -> String {
        check(servers).unwrap_err()
    }

    #[test]
    fn a_plain_router_is_a_service() {
        assert_eq!(check(&[server("shop")]).unwrap().0.len(), 1);
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        assert!(refused(&[]).contains("no server"));
        assert!(refused(&[Server::new("shop")]).contains("shop: nothing to serve"));
        assert!(refused(&[server("a"), server("a")]).contains("two servers"));
        assert!(refused(&[server("a").bind("nowhere")]).contains("cannot listen on \"nowhere\""));
        assert!(refused(&[server("a").thread_workers(5000)]).contains("a: thread_workers is 5000"));
    }

    #[test]
    fn settings_that_fit_into_no_message_are_refused() {
        let addresses = |count, length| {
            server("a").configure(move |config| {
                config.bind = vec![format!("unix:/{}", "x".repeat(length)); count];
            })
        };
        let path = Some(format!("/{}", "x".repeat(1 << 16)));
        let long = server("a").configure(move |config| config.readiness_path.clone_from(&path));
        assert!(refused(&[long]).starts_with("a: the settings are too long"));
        assert!(check(&[addresses(64, 100)]).is_ok());
    }
}
