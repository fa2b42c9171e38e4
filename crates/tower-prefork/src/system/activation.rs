//! Sockets that the service manager passes to the program (`LISTEN_FDS`).

use std::{
    collections::HashMap,
    env,
    os::fd::{AsFd, OwnedFd},
};

use listenfd::ListenFd;
use rustix::net::sockopt::socket_acceptconn;

use crate::listener::{Bound, MAX_LISTENERS};

/// The environment variables by which a service manager passes sockets to the process that it starts.
pub(crate) const LISTEN_VARIABLES: [&str; 3] = ["LISTEN_PID", "LISTEN_FDS", NAMES];
const NAMES: &str = "LISTEN_FDNAMES";

/// The sockets that the service manager has passed to this process, by the names of the servers that they
/// are for. The error is a sentence for the operator.
pub(crate) fn passed_sockets(servers: &[&str]) -> Result<HashMap<String, Bound>, String> {
    let names = env::var(NAMES).unwrap_or_default();
    let mut passed = ListenFd::from_env();
    let mut sockets: HashMap<&str, Vec<OwnedFd>> = HashMap::new();
    let mut names = names.split(':');
    for index in 0..passed.len() {
        let server = server_of(names.next().unwrap_or_default(), servers)?;
        let socket = take(&mut passed, index)?;
        sockets.entry(server).or_default().push(socket);
    }
    if let Some((server, sockets)) = sockets.iter().find(|(_, some)| some.len() > MAX_LISTENERS) {
        return Err(format!(
            "{server}: {} sockets were passed, but a server can have at most {MAX_LISTENERS}",
            sockets.len()
        ));
    }
    let bound = sockets.into_iter().map(|(server, sockets)| {
        let bound = Bound::passed(sockets);
        let bound = bound.map_err(|error| format!("{server}: cannot use a passed socket: {error}"));
        Ok((server.to_owned(), bound?))
    });
    bound.collect()
}

/// The server of a socket with this name.
fn server_of<'a>(name: &str, servers: &[&'a str]) -> Result<&'a str, String> {
    if let [only] = servers {
        return Ok(only);
    }
    // The name that systemd gives to the sockets of a unit without FileDescriptorName=.
    let short = name.strip_suffix(".socket").unwrap_or(name);
    let server = servers.iter().find(|server| **server == short);
    server.copied().ok_or_else(|| {
        format!(
            "a socket was passed with the name {name:?}, but no server has that name; \
             set FileDescriptorName= to one of: {}",
            servers.join(", ")
        )
    })
}

fn take(passed: &mut ListenFd, index: usize) -> Result<OwnedFd, String> {
    let tcp = passed.take_tcp_listener(index);
    let socket = match tcp {
        Ok(socket) => socket.map(OwnedFd::from),
        Err(_) => match passed.take_unix_listener(index) {
            Ok(socket) => socket.map(OwnedFd::from),
            Err(_) => None,
        },
    };
    let listens = |socket: &OwnedFd| socket_acceptconn(socket.as_fd()) == Ok(true);
    socket.filter(listens).ok_or_else(|| {
        let number = index + 1;
        format!(
            "socket {number} that was passed is no listening stream socket; \
             use ListenStream= and Accept=no"
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_socket_is_for_the_server_of_its_name() {
        assert_eq!(server_of("", &["shop"]), Ok("shop"));
        assert_eq!(server_of("anything", &["shop"]), Ok("shop"));
        let servers = ["shop", "admin"];
        assert_eq!(server_of("admin", &servers), Ok("admin"));
        assert_eq!(server_of("admin.socket", &servers), Ok("admin"));
        assert_eq!(
            server_of("web", &servers).unwrap_err(),
            "a socket was passed with the name \"web\", but no server has that name; \
             set FileDescriptorName= to one of: shop, admin"
        );
    }

    #[test]
    fn without_a_service_manager_no_socket_is_passed() {
        assert!(passed_sockets(&["shop"]).unwrap().is_empty());
    }
}
