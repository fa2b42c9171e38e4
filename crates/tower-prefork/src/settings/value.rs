//! A setting's value, as every source of settings gives it.

use std::{path::PathBuf, time::Duration};

/// A value that was written in the form of its [`Kind`](super::Kind).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Value {
    /// Of a flag.
    Flag(bool),
    /// Of a number, a size in bytes, or a mode.
    Number(u64),
    /// Of a duration.
    Duration(Duration),
    /// Of a text, a path, or a choice.
    Text(String),
    /// Of a setting that has several values.
    List(Vec<String>),
}

/// The type of a field that holds a setting.
pub trait Field: Sized {
    /// Takes a value of the setting's [`Kind`](super::Kind).
    ///
    /// # Errors
    ///
    /// When this type cannot hold the value. The error is a sentence for the operator.
    fn from_value(value: Value) -> Result<Self, String>;

    /// The value, or `None` where the setting has none.
    fn to_value(&self) -> Option<Value>;
}

/// The error of a value that is of another kind than the field.
fn mismatch<T>() -> Result<T, String> {
    Err("expected a value of another type".into())
}

impl<T: Field> Field for Option<T> {
    fn from_value(value: Value) -> Result<Self, String> {
        T::from_value(value).map(Some)
    }

    fn to_value(&self) -> Option<Value> {
        self.as_ref()?.to_value()
    }
}

impl Field for bool {
    fn from_value(value: Value) -> Result<Self, String> {
        match value {
            Value::Flag(flag) => Ok(flag),
            _ => mismatch(),
        }
    }

    fn to_value(&self) -> Option<Value> {
        Some(Value::Flag(*self))
    }
}

macro_rules! numbers {
    ($($number:ty),*) => {$(
        impl Field for $number {
            fn from_value(value: Value) -> Result<Self, String> {
                match value {
                    Value::Number(number) => Self::try_from(number).map_err(|_| super::kind::WHOLE_NUMBER.into()),
                    _ => mismatch(),
                }
            }

            fn to_value(&self) -> Option<Value> {
                u64::try_from(*self).ok().map(Value::Number)
            }
        }
    )*};
}

numbers!(u16, u32, u64, usize);

impl Field for Duration {
    fn from_value(value: Value) -> Result<Self, String> {
        match value {
            Value::Duration(duration) => Ok(duration),
            _ => mismatch(),
        }
    }

    fn to_value(&self) -> Option<Value> {
        Some(Value::Duration(*self))
    }
}

impl Field for String {
    fn from_value(value: Value) -> Result<Self, String> {
        match value {
            Value::Text(text) => Ok(text),
            _ => mismatch(),
        }
    }

    fn to_value(&self) -> Option<Value> {
        Some(Value::Text(self.clone()))
    }
}

impl Field for PathBuf {
    fn from_value(value: Value) -> Result<Self, String> {
        String::from_value(value).map(Self::from)
    }

    fn to_value(&self) -> Option<Value> {
        Some(Value::Text(self.to_string_lossy().into_owned()))
    }
}

impl<T: Field> Field for Vec<T> {
    fn from_value(value: Value) -> Result<Self, String> {
        match value {
            Value::List(items) => items
                .into_iter()
                .map(|item| T::from_value(Value::Text(item)))
                .collect(),
            _ => mismatch(),
        }
    }

    /// An empty list is no value.
    fn to_value(&self) -> Option<Value> {
        let items = self.iter().filter_map(|item| match item.to_value() {
            Some(Value::Text(text)) => Some(text),
            _ => None,
        });
        let items: Vec<_> = items.collect();
        (!items.is_empty()).then_some(Value::List(items))
    }
}
