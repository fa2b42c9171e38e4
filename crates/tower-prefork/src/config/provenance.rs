//! Where the settings of a server come from, for errors that name the line of a file.

use std::collections::BTreeMap;
#[cfg(feature = "config-file")]
use std::path::Path;

use super::Config;
use crate::settings::{Settings, Value};

/// The lines of files that the settings come from.
#[derive(Debug, Default)]
pub(super) struct Provenance(BTreeMap<&'static str, Origin>);

/// Where the values of a setting come from.
#[derive(Debug)]
struct Origin {
    file: String,
    /// One for each value.
    lines: Vec<usize>,
}

impl Provenance {
    /// The values of this setting now come from these lines of this file.
    #[cfg(feature = "config-file")]
    pub(super) fn set(&mut self, setting: &'static str, file: &Path, lines: Vec<usize>) {
        let file = file.display().to_string();
        self.0.insert(setting, Origin { file, lines });
    }

    /// The value of this setting no longer comes from a file.
    pub(super) fn forget(&mut self, setting: &str) {
        self.0.remove(setting);
    }

    /// The settings of which the values no longer come from a file, as `change` changes them.
    pub(super) fn forget_changed(&mut self, config: &mut Config, change: &dyn Fn(&mut Config)) {
        let before = self.values(config);
        change(config);
        let after = self.values(config);
        for (name, value) in before {
            if after.get(name) != Some(&value) {
                self.forget(name);
            }
        }
    }

    /// The values of the settings that come from files.
    fn values(&self, config: &Config) -> BTreeMap<&'static str, Option<Value>> {
        let settings = Config::TABLE.iter();
        let settings = settings.filter(|setting| self.0.contains_key(setting.name));
        settings
            .map(|setting| (setting.name, (setting.get)(config)))
            .collect()
    }

    /// `FILE:LINE` of a setting's value, or of the value of this index, if it comes from a file.
    pub(super) fn place(&self, setting: &str, index: usize) -> Option<String> {
        let Origin { file, lines } = self.0.get(setting)?;
        let line = lines.get(index).or(lines.first())?;
        Some(format!("{file}:{line}"))
    }
}
