use super::{Config, origins::Origins};
#[cfg(feature = "tls")]
use crate::control::ToWorker;
use crate::{
    Workers,
    control::MAX_LISTENERS,
    listener::{self, Address, Bound},
};
#[cfg(feature = "tls")]
use tower_serve::InvalidSetting;

/// What the settings of a server have come to.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(super) server: String,
    pub(crate) config: Config,
    pub(super) addresses: Vec<Address>,
    pub(super) origins: Origins,
}

impl Resolved {
    /// Whether there are no worker processes.
    pub(crate) fn is_alone(&self) -> bool {
        self.config.workers == Workers::Count(0)
    }

    /// The name of the server.
    pub(crate) fn server(&self) -> &str {
        &self.server
    }

    /// Where an error about this setting is to be looked for: in a line of a file, or else in the
    /// server of this name.
    pub(crate) fn place(&self, setting: &str) -> String {
        let place = self.origins.place(setting, 0);
        place.unwrap_or_else(|| self.server.clone())
    }

    /// Reads the certificate and its key, for the workers. The error is a sentence for the operator.
    #[cfg(feature = "tls")]
    pub(crate) fn read_certificate(&mut self) -> Result<(), String> {
        let Some(tls) = &mut self.config.tls else {
            return Ok(());
        };
        tls.read().map_err(|InvalidSetting { setting, problem }| {
            let place = self.place(setting);
            format!("{place}: {problem}")
        })?;
        ToWorker::check_start(&self.server, &self.config)
            .map_err(|problem| format!("{}: {problem}", self.place("tls_certificate")))
    }

    /// Listens on the addresses; where `before` listens on one of them, with the same socket. Sockets that
    /// were passed take the place of all addresses. The error is a sentence for the operator.
    pub(crate) fn bind(&self, before: &Bound) -> Result<Bound, String> {
        if let Some(passed) = before.passed_again() {
            return passed
                .map_err(|error| format!("cannot keep the sockets that were passed: {error}"));
        }
        let Config {
            backlog,
            socket_mode,
            ..
        } = self.config;
        let bound = listener::bind(&self.addresses, backlog, socket_mode, before);
        let bound = bound.map_err(|error| {
            let mut addresses = self.addresses.iter();
            let index = addresses.position(|address| address == error.address());
            match self.origins.place("bind", index.unwrap_or(0)) {
                Some(place) => format!("{place}: {error}"),
                None => error.to_string(),
            }
        })?;
        let count = bound.listeners.len();
        if count > MAX_LISTENERS {
            return Err(format!(
                "{}: {count} addresses are too many for one server; give at most {MAX_LISTENERS}",
                self.place("bind")
            ));
        }
        Ok(bound)
    }
}
