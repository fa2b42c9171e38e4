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
        match self.text()? {
            "" => Err("expected a path; leave the key out for none".into()),
            path => Ok(path.into()),
        }
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

    /// Seconds as a number, or a text with a unit.
    pub(super) fn duration(self) -> Result<Duration, String> {
        match self.0 {
            DeValue::String(text) => units::duration(text),
            DeValue::Float(number) => units::duration(number.as_str()),
            // Anything else than a number is none of seconds either.
            _ => units::duration(&self.integer().map_or_else(String::new, |n| n.to_string())),
        }
    }

    /// Bytes as a number, or a text with a unit.
    pub(super) fn size<T: TryFrom<u64>>(self) -> Result<T, String> {
        let bytes = match (self.0, self.integer()) {
            (DeValue::String(text), _) => units::size(text)?,
            (_, Some(number)) => number,
            _ => units::size("")?,
        };
        bytes
            .try_into()
            .map_err(|_| "this size is too large".into())
    }

    pub(super) fn mode(self) -> Result<u32, String> {
        let mode = match self.0 {
            DeValue::String(text) => units::mode(text).ok(),
            DeValue::Integer(number) if number.radix() == 8 => self.number().ok(),
            _ => None,
        };
        // A number without a prefix would be decimal.
        mode.ok_or_else(|| "expected an octal number in quotes, such as \"027\"".into())
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

    /// The value for a key of the program's own.
    pub(super) fn json(self) -> serde_json::Value {
        match self.0 {
            DeValue::String(text) => text.as_ref().into(),
            DeValue::Boolean(truth) => (*truth).into(),
            DeValue::Integer(number) => {
                i64::from_str_radix(number.as_str(), number.radix()).map_or_else(
                    // Too large: no number is as long.
                    |_| number.to_string().into(),
                    Into::into,
                )
            }
            DeValue::Float(number) => number.as_str().parse::<f64>().unwrap_or(f64::NAN).into(),
            DeValue::Datetime(time) => time.to_string().into(),
            DeValue::Array(items) => items
                .iter()
                .map(|item| Self(item.get_ref()).json())
                .collect(),
            DeValue::Table(table) => table
                .iter()
                .map(|(name, value)| (name.get_ref().to_string(), Self(value.get_ref()).json()))
                .collect(),
        }
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
