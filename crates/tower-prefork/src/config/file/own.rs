//! Keys of a configuration file that belong to the program and not to the server.

use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::Value;

/// A key of the program's own.
pub(in crate::config) struct OwnKey {
    pub(super) name: &'static str,
    /// Whether a value is of the key's type.
    pub(super) check: fn(&Value) -> Result<(), String>,
}

impl OwnKey {
    pub(in crate::config) fn new<T: DeserializeOwned>(name: &'static str) -> Self {
        let check = |value: &Value| match T::deserialize(value) {
            Ok(_) => Ok(()),
            Err(error) => Err(error.to_string()),
        };
        Self { name, check }
    }
}

impl fmt::Debug for OwnKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OwnKey").field(&self.name).finish()
    }
}
