//! A setting that cannot be used.

use std::{error::Error, fmt};

/// A setting with a value that cannot be used.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidSetting {
    /// The name of the setting.
    pub setting: &'static str,
    /// A sentence for the operator.
    pub problem: String,
}

impl fmt::Display for InvalidSetting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.problem)
    }
}

impl Error for InvalidSetting {}
