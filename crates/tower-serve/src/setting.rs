//! A setting that cannot be used.

/// A setting that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct InvalidSetting {
    /// The name of the setting.
    pub setting: &'static str,
    /// A sentence for the operator.
    pub problem: String,
}
