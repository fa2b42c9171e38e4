use std::{path::PathBuf, time::Duration};

use serde::{
    Deserialize,
    de::{IntoDeserializer, value::Error},
};
use toml::de::DeValue;

use crate::{Workers, config::units};

/// A value of a key. The error of each form says what is expected.
#[derive(Clone, Copy, Debug)]
pub(super) struct Value<'a>(pub(super) &'a DeValue<'a>);

impl<'a> Value<'a> {
    pub(super) fn text(self) -> Result<&'a str, String> {
        match self.0 {
            DeValue::String(text) => Ok(text),
            _ => Err("expected a text in quotes".into()),
        }
    }

    pub(super) fn path(self) -> Result<PathBuf, String> {
        self.text().map(PathBuf::from)
    }

    #[cfg(feature = "watch")]
    pub(super) fn truth(self) -> Result<bool, String> {
        match self.0 {
            DeValue::Boolean(truth) => Ok(*truth),
            _ => Err("expected true or false".into()),
        }
    }

    pub(super) fn number<T: TryFrom<u64>>(self) -> Result<T, String> {
        let number = self.integer().and_then(|number| number.try_into().ok());
        number.ok_or_else(|| "expected a whole number, 0 or more".into())
    }

    fn integer(self) -> Option<u64> {
        match self.0 {
            DeValue::Integer(number) => u64::from_str_radix(number.as_str(), number.radix()).ok(),
            _ => None,
        }
    }

    /// A name or a number, as text.
    pub(super) fn word(self) -> Result<String, String> {
        match (self.0, self.integer()) {
            (DeValue::String(text), _) => Ok(text.to_string()),
            (_, Some(number)) => Ok(number.to_string()),
            _ => Err("expected a text in quotes, or a number".into()),
        }
    }

    pub(super) fn seconds(self) -> Result<Duration, String> {
        let seconds = match self.0 {
            DeValue::Float(number) => number.as_str().parse().ok(),
            // More than a float holds is out of the limits anyway.
            _ => self.integer().map(|number| number as f64),
        };
        seconds
            .and_then(|seconds| Duration::try_from_secs_f64(seconds).ok())
            .ok_or_else(|| "expected seconds as a number, as in 30 or 0.5".to_owned())
    }

    pub(super) fn bytes(self) -> Result<u64, String> {
        match (self.0, self.integer()) {
            (DeValue::String(text), _) => units::size(text),
            (_, Some(number)) => Ok(number),
            _ => Err("expected bytes, as in 1048576 or \"512M\"".into()),
        }
    }

    pub(super) fn mode(self) -> Result<u32, String> {
        let mode = match self.0 {
            DeValue::String(text) => units::mode(text).ok(),
            DeValue::Integer(number) if number.radix() == 8 => self.number().ok(),
            _ => None,
        };
        // A number without a prefix would be decimal.
        mode.ok_or_else(|| "expected an octal number in quotes, as in \"027\"".into())
    }

    pub(super) fn workers(self) -> Result<Workers, String> {
        self.word()
            .and_then(|word| word.parse())
            .map_err(|_| "expected a number or \"auto\"".into())
    }

    /// One of the words that `T` has.
    pub(super) fn choice<T: Deserialize<'static>>(self) -> Result<T, String> {
        let word = self.text()?.to_owned();
        T::deserialize(word.into_deserializer()).map_err(|error: Error| error.to_string())
    }

    /// One value, or several.
    pub(super) fn several<T>(
        self,
        one: impl Fn(Self) -> Result<T, String>,
    ) -> Result<Vec<T>, String> {
        match self.0 {
            DeValue::Array(items) => items.iter().map(|item| one(Self(item.get_ref()))).collect(),
            _ => one(self).map(|value| vec![value]),
        }
    }
}
