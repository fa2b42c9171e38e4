//! Keys of a configuration file that belong to the program and not to the server.

use std::fmt;

use serde::de::DeserializeOwned;
use serde_json::Value as Json;
use toml::de::DeValue;

use super::raw_value::{json, raw_value};
use crate::{
    config::wire::encode,
    settings::{Setting, Settings},
};

/// Reads the value of a key.
type Read = Box<dyn Fn(&DeValue<'_>) -> Result<Json, String>>;

/// A key of the program's own.
pub(crate) struct OwnKey {
    pub(super) name: &'static str,
    /// The error is a sentence for the operator.
    pub(super) read: Read,
}

impl OwnKey {
    /// A key with values of this type.
    pub(in crate::config) fn new<T: DeserializeOwned>(name: &'static str) -> Self {
        let read = |value: &DeValue<'_>| {
            let json = json(value);
            match T::deserialize(&json) {
                Ok(_) => Ok(json),
                Err(error) => Err(error.to_string()),
            }
        };
        let read = Box::new(read);
        Self { name, read }
    }

    /// The key of a setting.
    pub(in crate::config) fn of<S: Settings>(setting: &'static Setting<S>) -> Self {
        let read = |value: &DeValue<'_>| {
            let value = setting.read(raw_value(value))?;
            Ok(encode(setting, value))
        };
        Self {
            name: setting.name,
            read: Box::new(read),
        }
    }
}

impl fmt::Debug for OwnKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("OwnKey").field(&self.name).finish()
    }
}
