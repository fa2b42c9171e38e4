//! The number of worker processes: [`Workers`].

use std::{fmt, num::NonZeroUsize, str::FromStr, thread::available_parallelism};

use crate::settings::{Field, Value};

/// How many worker processes a server has.
///
/// As text it is a number or `auto`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Workers {
    /// One per core that this process may use.
    Auto,
    /// This many. 0 serves in the one process, without a supervisor: for debugging.
    Count(usize),
}

impl Workers {
    /// The number: that of the CPUs which this process may use, for [`Auto`](Self::Auto).
    #[must_use]
    pub fn count(self) -> usize {
        match self {
            Self::Auto => available_parallelism().map_or(1, NonZeroUsize::get),
            Self::Count(count) => count,
        }
    }
}

impl FromStr for Workers {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if text == "auto" {
            return Ok(Self::Auto);
        }
        text.parse()
            .map(Self::Count)
            .map_err(|_| "expected a number or \"auto\"".to_owned())
    }
}

impl fmt::Display for Workers {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Auto => f.write_str("auto"),
            Self::Count(count) => count.fmt(f),
        }
    }
}

impl Field for Workers {
    fn from_value(value: Value) -> Result<Self, String> {
        match value {
            Value::Text(text) => text.parse(),
            value => usize::from_value(value).map(Self::Count),
        }
    }

    fn to_value(&self) -> Option<Value> {
        match self {
            Self::Auto => Some(Value::Text("auto".into())),
            Self::Count(count) => count.to_value(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn workers_as_text() {
        assert_eq!("auto".parse(), Ok(Workers::Auto));
        assert_eq!("4".parse(), Ok(Workers::Count(4)));
        assert!("-1".parse::<Workers>().is_err());
        assert!("four".parse::<Workers>().is_err());
        assert!(Workers::Auto.count() >= 1);
        assert_eq!(Workers::Count(3).to_string(), "3");
    }
}
