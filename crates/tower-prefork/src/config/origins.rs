use std::collections::BTreeMap;
#[cfg(feature = "config-file")]
use std::path::Path;

use serde_json::{Map, Value};

use super::Config;

/// Where in files the settings come from.
#[derive(Debug, Default)]
pub(super) struct Origins(BTreeMap<String, Origin>);

/// Where the values of a setting come from.
#[derive(Debug)]
struct Origin {
    file: String,
    /// One for each value.
    lines: Vec<usize>,
}

impl Origins {
    /// The values of this setting now come from these lines of this file.
    #[cfg(feature = "config-file")]
    pub(super) fn set(&mut self, setting: &str, file: &Path, lines: Vec<usize>) {
        let file = file.display().to_string();
        self.0.insert(setting.to_owned(), Origin { file, lines });
    }

    /// Forgets the settings that something else has changed since.
    pub(super) fn forget_changed(&mut self, before: &Config, after: &Config) {
        if self.0.is_empty() {
            return;
        }
        let (before, after) = (values(before), values(after));
        self.0
            .retain(|setting, _| before.get(setting) == after.get(setting));
    }

    /// `FILE:LINE` of a setting's value, or of that value of several, if it comes from a file.
    pub(super) fn place(&self, setting: &str, value: usize) -> Option<String> {
        let Origin { file, lines } = self.0.get(setting)?;
        let line = lines.get(value).or(lines.first())?;
        Some(format!("{file}:{line}"))
    }
}

/// The settings by their names.
fn values(config: &Config) -> Map<String, Value> {
    match serde_json::to_value(config) {
        Ok(Value::Object(values)) => values,
        // A path that is no text, which is refused later.
        _ => Map::new(),
    }
}
