//! The settings of the program's log: its level and its format.

use tracing_subscriber::EnvFilter;

use crate::settings::{Field, Value};

/// How the lines of the log look.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum LogFormat {
    Text,
    Json,
}

/// The formats of the log, by their names.
pub(super) const LOG_FORMATS: &[(&str, &str)] =
    &[("text", "For people"), ("json", "One JSON object a line")];

impl Field for LogFormat {
    fn from_value(value: Value) -> Result<Self, String> {
        Ok(match String::from_value(value)?.as_str() {
            "json" => Self::Json,
            _ => Self::Text,
        })
    }

    fn to_value(&self) -> Option<Value> {
        let name = match self {
            Self::Text => "text",
            Self::Json => "json",
        };
        Some(Value::Text(name.into()))
    }
}

/// Parses a log filter: a level, or several, each for a part of the program. Returns it with the names that
/// `tracing` knows. A clap `value_parser` for a program's own options.
///
/// # Errors
///
/// When there is no such level.
pub fn log_level(text: &str) -> Result<String, String> {
    let directives = directives(text).map(|directive| {
        let directive = directive.trim();
        // A `=` in brackets is of a span's fields.
        let fields = directive.rfind(']').unwrap_or(0);
        match directive[fields..].rfind('=') {
            Some(place) => {
                let (target, level) = directive.split_at(fields + place);
                Ok(format!("{target}={}", level_name(&level[1..])?))
            }
            None if fields > 0 => Ok(directive.to_owned()),
            None => level_name(directive).map(str::to_owned),
        }
    });
    let filter = directives.collect::<Result<Vec<_>, String>>()?.join(",");
    match EnvFilter::try_new(&filter) {
        Ok(_) => Ok(filter),
        Err(error) => Err(error.to_string()),
    }
}

/// Splits at commas, except within brackets.
fn directives(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0_usize;
    text.split(move |character| {
        match character {
            '[' | '{' => depth += 1,
            ']' | '}' => depth = depth.saturating_sub(1),
            _ => {}
        }
        character == ',' && depth == 0
    })
}

fn level_name(level: &str) -> Result<&'static str, String> {
    Ok(match &*level.to_ascii_lowercase() {
        "off" => "off",
        // As Python calls them, and with it gunicorn.
        "error" | "critical" => "error",
        "warn" | "warning" => "warn",
        "info" => "info",
        "debug" => "debug",
        "trace" => "trace",
        _ => {
            return Err(format!(
                "there is no log level {level:?}; choose off, error, warn, info, debug or trace, for parts of the \
                 program as in warn,tower_prefork=debug"
            ));
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn levels_have_the_names_of_rust_and_of_python() {
        for (text, filter_text) in [
            ("info", "info"),
            ("warning", "warn"),
            ("critical", "error"),
            ("WARNING", "warn"),
            ("off", "off"),
            ("warn,tower_prefork=debug", "warn,tower_prefork=debug"),
            ("critical, a::b=Warning", "error,a::b=warn"),
            ("info,a[s{b=1}]=warning", "info,a[s{b=1}]=warn"),
            ("info,[s]", "info,[s]"),
        ] {
            assert_eq!(log_level(text).as_deref(), Ok(filter_text), "{text}");
        }
    }

    #[test]
    fn an_unknown_level_is_refused_with_those_that_there_are() {
        for text in [
            "verbose",
            "",
            "warn,",
            "a=",
            "tower_prefork",
            "a=loud",
            "a=b=c",
        ] {
            let error = log_level(text).unwrap_err();
            assert!(error.contains("choose off, error, warn"), "{text}: {error}");
        }
    }
}
