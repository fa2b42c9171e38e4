//! What the settings of a server have come to: [`ResolvedConfig`].

use super::{Config, ProgramConfig, Workers, provenance::Provenance};
#[cfg(feature = "tls")]
use tower_serve::InvalidSetting;

use crate::{
    listener::{self, Address, Bound, MAX_LISTENERS},
    settings::Overrides,
};

/// What the settings of a server have come to.
#[derive(Debug)]
pub(crate) struct ResolvedConfig {
    pub(super) server: String,
    pub(crate) config: Config,
    pub(super) addresses: Vec<Address>,
    /// Where clients are redirected to HTTPS.
    pub(super) redirect: Option<Address>,
    /// What the server's file and command line say for the program.
    pub(super) program: Overrides<ProgramConfig>,
    pub(super) provenance: Provenance,
}

impl ResolvedConfig {
    /// Whether there are no worker processes.
    pub(crate) fn is_standalone(&self) -> bool {
        self.config.workers == Workers::Count(0)
    }

    /// The name of the server.
    pub(crate) fn server(&self) -> &str {
        &self.server
    }

    /// Where a setting comes from, for errors: the line of a file, or else the name of the server.
    pub(crate) fn place(&self, setting: &str) -> String {
        let place = self.provenance.place(setting, 0);
        place.unwrap_or_else(|| self.server.clone())
    }

    /// Reads the certificates and their keys, for the workers, if the server has any. The error is a sentence for the operator.
    #[cfg(feature = "tls")]
    pub(crate) fn read_certificates(&mut self) -> Result<(), String> {
        let Some(tls) = &mut self.config.tls else {
            return Ok(());
        };
        tls.read().map_err(|InvalidSetting { setting, problem }| {
            let place = self.place(setting);
            format!("{place}: {problem}")
        })
    }

    /// Listens on the addresses; where `before` listens on one of them, with the same socket. Sockets that
    /// were passed take the place of all addresses. The error is a sentence for the operator.
    pub(crate) fn bind(&self, before: &Bound) -> Result<Bound, String> {
        let redirect = self.redirect.as_ref();
        if let Some(passed) = before.passed_again() {
            return passed
                .map(|bound| bound.redirect_at(redirect))
                .map_err(|error| format!("cannot keep the sockets that were passed: {error}"));
        }
        let Config {
            backlog,
            socket_mode,
            ..
        } = self.config;
        let addresses: Vec<_> = self.addresses.iter().chain(redirect).cloned().collect();
        let bound = listener::bind(&addresses, backlog, socket_mode, before);
        let bound = bound.map_err(|error| {
            if redirect == Some(error.address()) {
                return format!("{}: {error}", self.place("redirect_http"));
            }
            let mut addresses = self.addresses.iter();
            let index = addresses.position(|address| address == error.address());
            match self.provenance.place("bind", index.unwrap_or(0)) {
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
        Ok(bound.redirect_at(redirect))
    }
}
