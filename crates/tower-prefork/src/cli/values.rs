use std::time::Duration;

use tracing_subscriber::EnvFilter;

use crate::config;

/// Parses a duration: seconds, as in `30` or `0.5`, or a number with a unit, as in `500ms`, `30s`, `5m` or
/// `1h`. A clap `value_parser` for a program's own options.
///
/// # Errors
///
/// When the text is nothing of this kind, or too large.
pub fn seconds(text: &str) -> Result<Duration, String> {
    config::duration(text)
}

/// Parses a size: bytes, as in `1048576`, or a number with a unit, as in `16K`, `10M` or `2G`, which are powers
/// of 1024. A clap `value_parser` for a program's own options.
///
/// # Errors
///
/// When the text is nothing of this kind, or too large.
pub fn size(text: &str) -> Result<u64, String> {
    config::size(text)
}

/// Parses permissions in octal, as in `027` or `660`. A clap `value_parser` for a program's own options.
///
/// # Errors
///
/// When the text is no octal number.
pub fn mode(text: &str) -> Result<u32, String> {
    config::mode(text)
}

/// Parses what is logged: a level, or several, each for a part of the program. Gives it with the names that
/// `tracing` knows.
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

/// What is between commas, but for those in brackets.
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
