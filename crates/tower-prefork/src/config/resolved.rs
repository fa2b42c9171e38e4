use super::Config;
use crate::{
    Workers,
    control::MAX_LISTENERS,
    listener::{self, Address, Bound},
};

/// What the settings of a server have come to.
#[derive(Debug)]
pub(crate) struct Resolved {
    pub(crate) config: Config,
    pub(super) addresses: Vec<Address>,
}

impl Resolved {
    /// Whether there are no worker processes.
    pub(crate) fn is_alone(&self) -> bool {
        self.config.workers == Workers::Count(0)
    }

    /// Listens on the addresses; where `before` listens on one of them, with the same socket. The
    /// error is a sentence for the operator.
    pub(crate) fn bind(&self, before: &Bound) -> Result<Bound, String> {
        let bound = listener::bind(&self.addresses, self.config.backlog, before);
        let bound = bound.map_err(|error| error.to_string())?;
        let count = bound.listeners.len();
        if count > MAX_LISTENERS {
            return Err(format!(
                "{count} addresses are too many for one server; give at most {MAX_LISTENERS}"
            ));
        }
        Ok(bound)
    }
}
