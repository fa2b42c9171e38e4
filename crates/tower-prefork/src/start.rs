//! Decides how a program serves: with a supervisor and workers, or in this process.

use std::{collections::HashMap, sync::Arc};

use crate::{
    config::{ProgramConfig, ResolvedConfig},
    error::Error,
    listener::Bound,
    operator::ControlSocket,
    phase::Phases,
    prepare,
    server::Server,
    signals::StopRequest,
    supervisor::{self, Predecessor, ServerSetup, Setup},
    system::{Announcer, Credentials, PidFile, Title, passed_sockets, set_umask},
    worker::{self, Standalone},
};

/// Serves until an operator stops the program.
pub(crate) fn start(
    servers: Vec<Server>,
    keeps_name: bool,
    phases: Phases,
    stop_request: StopRequest,
) -> Result<(), Error> {
    let predecessor = Predecessor::inherited()
        .map_err(|error| Error::start(format!("cannot take over: {error}")))?;
    let (all, program) = check(&servers).map_err(Error::config)?;
    let phases = phases.with(servers.iter().map(|server| &server.phases));
    let announcer = Announcer::of_program(phases);
    if all.iter().all(ResolvedConfig::is_standalone) {
        if predecessor.is_some() {
            let error = "a program with 0 workers cannot take over from a supervisor; stop that first, then start";
            return Err(Error::config(error));
        }
        serve_standalone(servers, all, &program, &announcer, stop_request)
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
    .map_err(Error::start)
}

/// Serves in this process.
fn serve_standalone(
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
    let mut standalone = Vec::new();
    for (server, mut resolved) in servers.into_iter().zip(all) {
        let passed = passed.remove(&server.name).unwrap_or_default();
        let bound = prepare::bind(&mut resolved, &passed, None)?;
        standalone.push(Standalone {
            name: server.name,
            config: resolved.config,
            application: server.application.ok_or("nothing to serve")?,
            bound,
        });
    }
    worker::run_standalone(standalone, announcer, stop_request)
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
        // It belongs to the other supervisor until this one serves.
        Some(_) => None,
    };
    let control_socket = match (&program.control_socket, &predecessor) {
        (Some(path), Some(before)) if before.has_control_socket(path) => None,
        (path, _) => path.as_deref().map(ControlSocket::bind).transpose()?,
    };
    let mut passed = passed(&servers)?;
    let mut setups = Vec::new();
    for (server, mut resolved) in servers.into_iter().zip(all) {
        let passed = passed.remove(&server.name).unwrap_or_default();
        let before = predecessor.as_ref().and_then(|one| one.bound(&server.name));
        let before = before.unwrap_or(&passed);
        let bound = prepare::bind(&mut resolved, before, credentials.as_ref())?;
        #[cfg(feature = "tls")]
        if let Some(predecessor) = &predecessor {
            predecessor.give_ticket_keys(&server.name, &mut resolved.config);
        }
        setups.push(ServerSetup {
            name: server.name,
            sources: server.sources,
            config: resolved.config,
            hooks: server.hooks,
            bound,
        });
    }
    supervisor::run(Setup {
        servers: setups,
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

/// The sockets that the service manager passes, by the names of the servers.
fn passed(servers: &[Server]) -> Result<HashMap<String, Bound>, String> {
    let names: Vec<_> = servers.iter().map(|server| &*server.name).collect();
    passed_sockets(&names)
}

/// Checks the settings of all servers, without a look at the machine. The error is a sentence for the operator.
pub(crate) fn check(
    servers: &[Server],
) -> Result<(Vec<ResolvedConfig>, Arc<ProgramConfig>), String> {
    if servers.is_empty() {
        return Err("there is no server; add one with Supervisor::server".into());
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
    prepare::resolve(
        servers
            .iter()
            .map(|server| (&*server.name, &server.sources)),
    )
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
    fn invalid_settings_are_refused() {
        assert!(refused(&[]).contains("there is no server"));
        assert!(refused(&[Server::new("shop")]).contains("shop: nothing to serve"));
        assert!(refused(&[server("a"), server("a")]).contains("two servers"));
        assert!(refused(&[server("a").bind("nowhere")]).contains("cannot listen on \"nowhere\""));
        assert!(refused(&[server("a").thread_workers(5000)]).contains("a: thread_workers is 5000"));
    }
}
