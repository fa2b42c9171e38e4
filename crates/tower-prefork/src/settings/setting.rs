//! One setting: everything that is known of it.

use tower_serve::InvalidSetting;

use super::{Kind, RawValue, Settings, Value};

/// A setting of the struct `S`. [`settings!`](crate::settings!) makes it.
#[derive(Clone, Debug)]
pub struct Setting<S: 'static> {
    /// The name of the field and of the key. The option has `-` for `_`.
    pub name: &'static str,
    /// The lines of its documentation. The first paragraph is the help text.
    pub documentation: &'static [&'static str],
    /// What its values are.
    pub kind: Kind,
    /// The short option.
    pub short: Option<char>,
    /// What the help calls a value, where the kind does not say it well.
    pub value_name: Option<&'static str>,
    /// What the help shows as the default where the default is no value.
    pub unset: &'static str,
    /// The value of the option if it is given without one; by default it needs a value.
    pub bare: Option<&'static str>,
    /// Checks what the kind does not: a text, for example. The error is a sentence for the operator.
    pub check: fn(&Value) -> Result<(), String>,
    /// Changes the setting.
    pub set: fn(&mut S, Value) -> Result<(), String>,
    /// The value, or `None` where the setting has none.
    pub get: fn(&S) -> Option<Value>,
}

impl<S> Setting<S> {
    /// A flag of a server that changes nothing.
    #[must_use]
    pub const fn new(name: &'static str, documentation: &'static [&'static str]) -> Self {
        Self {
            name,
            documentation,
            kind: Kind::Flag,
            short: None,
            value_name: None,
            unset: "none",
            bare: None,
            check: |_| Ok(()),
            set: |_, _| Ok(()),
            get: |_| None,
        }
    }
}

impl<S: Settings> Setting<S> {
    /// The text of the help, in one line and without a full stop.
    #[must_use]
    pub fn help(&self) -> String {
        let lines = self.documentation.iter().map(|line| line.trim());
        let first: Vec<_> = lines.take_while(|line| !line.is_empty()).collect();
        // Without the escapes of Markdown.
        first.join(" ").trim_end_matches('.').replace('\\', "")
    }

    /// The option, without its dashes.
    #[must_use]
    pub fn option(&self) -> String {
        self.name.replace('_', "-")
    }

    /// The environment variable.
    #[must_use]
    pub fn variable(&self) -> String {
        format!("{}{}", S::PREFIX, self.name.to_uppercase())
    }

    /// The default, as an operator writes it.
    #[must_use]
    pub fn default_text(&self, defaults: &S) -> String {
        let value = (self.get)(defaults).map(|value| self.kind.show(&value));
        let value = value.filter(|text| !text.is_empty());
        value.unwrap_or_else(|| self.unset.to_owned())
    }

    /// What the help calls a value.
    #[must_use]
    pub fn value_name(&self) -> &'static str {
        self.value_name.unwrap_or_else(|| self.kind.value_name())
    }

    /// Reads a value from a text: of an option, or of an environment variable.
    ///
    /// # Errors
    ///
    /// When it is of another form. The error is a sentence for the operator.
    pub fn parse(&self, text: &str) -> Result<Value, String> {
        self.kind.parse(text).and_then(|value| self.fits(value))
    }

    /// Reads a value that a file or a program has in a form of its own.
    ///
    /// # Errors
    ///
    /// When it is of another form. The error is a sentence for the operator.
    pub fn read(&self, input: RawValue) -> Result<Value, String> {
        self.kind.read(input).and_then(|value| self.fits(value))
    }

    /// Whether the field can hold the value.
    fn fits(&self, value: Value) -> Result<Value, String> {
        (self.set)(&mut S::default(), value.clone()).map(|()| value)
    }

    /// Checks the value.
    pub(super) fn check(&self, settings: &S) -> Result<(), InvalidSetting> {
        let Some(value) = (self.get)(settings) else {
            return Ok(());
        };
        let invalid = |problem: String| {
            let (name, value) = (self.name, self.kind.quote(&value));
            InvalidSetting {
                setting: name,
                problem: format!("{name} is {value}{problem}"),
            }
        };
        self.kind
            .check(&value)
            .map_err(|range| invalid(format!("; {range}")))?;
        (self.check)(&value).map_err(|problem| invalid(format!(": {problem}")))
    }
}
