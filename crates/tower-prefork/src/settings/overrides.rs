//! The settings that one source overrides: the command line, a file, a program.

use std::{collections::BTreeMap, fmt, marker::PhantomData};

use super::{Setting, Settings, Value};

/// The settings of `S` that one source overrides, each with its value.
///
/// With the feature `cli` this is a clap `Args`: the options of `S`, each of which is an environment variable as well.
pub struct Overrides<S> {
    values: BTreeMap<&'static str, Value>,
    settings: PhantomData<fn() -> S>,
}

impl<S: Settings> Overrides<S> {
    /// The settings that have a value.
    #[cfg(feature = "cli")]
    pub(crate) fn of(settings: &S) -> Self {
        let mut overrides = Self::default();
        for setting in S::TABLE {
            if let Some(value) = (setting.get)(settings) {
                overrides.insert(setting, value);
            }
        }
        overrides
    }

    /// Overrides a setting with this value.
    pub fn insert(&mut self, setting: &'static Setting<S>, value: Value) {
        self.values.insert(setting.name, value);
    }

    /// The value of the setting of this name, if it is overridden.
    #[must_use]
    pub fn get(&self, name: &str) -> Option<&Value> {
        self.values.get(name)
    }

    /// Changes the settings that are overridden, and leaves the others as they are.
    pub fn apply(&self, settings: &mut S) {
        for setting in S::TABLE {
            if let Some(value) = self.values.get(setting.name) {
                // It fits, because the setting has read it.
                let _ = (setting.set)(settings, value.clone());
            }
        }
    }

    /// Adds the overrides of a source that takes precedence.
    pub fn extend(&mut self, other: Self) {
        self.values.extend(other.values);
    }

    /// The names of the settings that are overridden, with their values.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&'static str, &Value)> {
        self.values.iter().map(|(name, value)| (*name, value))
    }
}

impl<S> Clone for Overrides<S> {
    fn clone(&self) -> Self {
        Self {
            values: self.values.clone(),
            settings: PhantomData,
        }
    }
}

impl<S> Default for Overrides<S> {
    fn default() -> Self {
        Self {
            values: BTreeMap::new(),
            settings: PhantomData,
        }
    }
}

impl<S> fmt::Debug for Overrides<S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.values.fmt(f)
    }
}
