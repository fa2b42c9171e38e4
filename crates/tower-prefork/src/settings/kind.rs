//! The kinds of values: how each is written, which are in range, and how it is shown.

use std::{fmt, ops::RangeInclusive, time::Duration};

use super::{
    Value,
    units::{self, ShowDuration, ShowSize},
};

pub(super) const WHOLE_NUMBER: &str = "expected a whole number, 0 or more";

/// What the values of a setting are: how they are written, and which are in range.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Kind {
    /// A whole number, within a range.
    Number(RangeInclusive<u64>),
    /// A duration, within a range: a number of seconds, or a number with a unit.
    Duration(RangeInclusive<Duration>),
    /// A size in bytes, within a range: a number, or a number with a unit. Without a limit it ends at [`u64::MAX`].
    Size(RangeInclusive<u64>),
    /// Permissions in octal, as in `027`.
    Mode,
    /// True or false. As an option it may stand without a value.
    Flag,
    /// The path of a file or a directory.
    Path,
    /// Several paths.
    Paths,
    /// A text.
    Text,
    /// A text that this function accepts. It returns the text in its usual form, or a sentence for the operator.
    Parsed(fn(&str) -> Result<String, String>),
    /// A name or a number.
    Name,
    /// Several names or numbers.
    Names,
    /// A number within a range, or `auto`.
    NumberOrAuto(RangeInclusive<u64>),
    /// One of these words, each with what it means.
    Choice(&'static [(&'static str, &'static str)]),
}

/// A value as a source of settings has it, before it is known to be of the right kind.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum RawValue {
    /// True or false.
    Flag(bool),
    /// A whole number that is not negative.
    Integer(u64),
    /// A whole number that was written in octal, as in `0o660`.
    Octal(u64),
    /// Any other number, as text.
    OtherNumber(String),
    /// A text.
    Text(String),
    /// Several values.
    List(Vec<Self>),
    /// Anything else.
    Other,
}

impl Kind {
    /// Reads a value from a text: of an option, or of an environment variable.
    ///
    /// # Errors
    ///
    /// When the text is of another form. The error is a sentence for the operator.
    pub fn parse(&self, text: &str) -> Result<Value, String> {
        let input = match self {
            Self::Number(_) => {
                let number = text.parse().map_err(|_| WHOLE_NUMBER)?;
                // `u64` would also take a sign.
                let is_plain = text.bytes().all(|byte| byte.is_ascii_digit());
                RawValue::Integer(Some(number).filter(|_| is_plain).ok_or(WHOLE_NUMBER)?)
            }
            Self::Mode => return units::mode(text).map(|mode| Value::Number(mode.into())),
            Self::Flag => RawValue::Flag(!is_false(text)),
            Self::Path if text.is_empty() => return Err("expected a path".into()),
            Self::Paths | Self::Names => {
                let items = text.split(',').map(|item| RawValue::Text(item.to_owned()));
                RawValue::List(items.collect())
            }
            _ => RawValue::Text(text.to_owned()),
        };
        self.read(input)
    }

    /// Reads a value that a source of settings has in a form of its own: a configuration file, or a program.
    ///
    /// # Errors
    ///
    /// When the input is of another form. The error is a sentence for the operator.
    pub fn read(&self, input: RawValue) -> Result<Value, String> {
        match self {
            Self::Number(_) => match input {
                RawValue::Integer(number) | RawValue::Octal(number) => Ok(Value::Number(number)),
                _ => Err(WHOLE_NUMBER.into()),
            },
            Self::Duration(_) => {
                let text = match input {
                    RawValue::Integer(seconds) | RawValue::Octal(seconds) => seconds.to_string(),
                    RawValue::Text(text) | RawValue::OtherNumber(text) => text,
                    // It is none.
                    _ => String::new(),
                };
                units::duration(&text).map(Value::Duration)
            }
            Self::Size(_) => match input {
                RawValue::Integer(bytes) | RawValue::Octal(bytes) => Ok(Value::Number(bytes)),
                RawValue::Text(text) => units::size(&text).map(Value::Number),
                _ => units::size("").map(Value::Number),
            },
            Self::Mode => match input {
                RawValue::Octal(mode) => Some(mode),
                RawValue::Text(text) => units::mode(&text).ok().map(u64::from),
                // It would be decimal.
                _ => None,
            }
            .map(Value::Number)
            .ok_or_else(|| "expected an octal number in quotes, such as \"027\"".into()),
            Self::Flag => match input {
                RawValue::Flag(flag) => Ok(Value::Flag(flag)),
                _ => Err("expected true or false".into()),
            },
            Self::Path => path(input).map(Value::Text),
            Self::Paths => several(input, path),
            Self::Text => text(input).map(Value::Text),
            Self::Parsed(parse) => text(input).and_then(|text| parse(&text)).map(Value::Text),
            Self::Name => name(input).map(Value::Text),
            Self::Names => several(input, name),
            Self::NumberOrAuto(_) => {
                let expected = || "expected a number or \"auto\"".to_owned();
                match name(input).map_err(|_| expected())?.as_str() {
                    "auto" => Ok(Value::Text("auto".into())),
                    number => number.parse().map(Value::Number).map_err(|_| expected()),
                }
            }
            Self::Choice(choices) => {
                let word = match input {
                    RawValue::Integer(number) => number.to_string(),
                    input => text(input)?,
                };
                if choices.iter().any(|(choice, _)| *choice == word) {
                    return Ok(Value::Text(word));
                }
                let words: Vec<_> = choices.iter().map(|(choice, _)| *choice).collect();
                Err(format!("unknown value {word:?}; choose {}", or(&words)))
            }
        }
    }

    /// Checks that the value is in range. The error says what is, after the name and the value.
    pub(super) fn check(&self, value: &Value) -> Result<(), String> {
        let choose = |what: &str, low: &dyn fmt::Display, high: &dyn fmt::Display| {
            Err(format!("choose {what} from {low} to {high}"))
        };
        match (self, value) {
            (Self::Number(range) | Self::NumberOrAuto(range), Value::Number(number))
                if !range.contains(number) =>
            {
                choose("a number", range.start(), range.end())
            }
            (Self::Duration(range), Value::Duration(duration)) if !range.contains(duration) => {
                let [low, high] = [range.start(), range.end()].map(|end| ShowDuration(*end));
                choose("a duration", &low, &high)
            }
            (Self::Size(range), Value::Number(bytes)) if !range.contains(bytes) => {
                let [low, high] = [range.start(), range.end()].map(|end| ShowSize(*end));
                match *range.end() {
                    u64::MAX => Err(format!("choose at least {low}")),
                    _ => choose("a size", &low, &high),
                }
            }
            (Self::Mode, Value::Number(mode)) if *mode > 0o777 => {
                Err("choose from 000 to 777".into())
            }
            // What is no UTF-8 was replaced by this character.
            (Self::Path | Self::Paths, value)
                if texts(value).any(|path| path.contains('\u{fffd}')) =>
            {
                Err("choose a path in UTF-8".into())
            }
            (Self::Parsed(parse), Value::Text(text)) => parse(text).map(drop),
            _ => Ok(()),
        }
    }

    /// The range, as the documentation shows it.
    pub(super) fn range(&self) -> Option<String> {
        Some(match self {
            Self::Number(range) | Self::NumberOrAuto(range) => match *range.end() {
                u64::MAX if *range.start() == 0 => return None,
                u64::MAX => format!("at least {}", range.start()),
                end => format!("{} to {end}", range.start()),
            },
            Self::Duration(range) => {
                let [low, high] = [range.start(), range.end()].map(|end| ShowDuration(*end));
                format!("{low} to {high}")
            }
            Self::Size(range) => {
                let [low, high] = [range.start(), range.end()].map(|end| ShowSize(*end));
                match *range.end() {
                    u64::MAX if *range.start() == 0 => return None,
                    u64::MAX => format!("at least {low}"),
                    _ => format!("{low} to {high}"),
                }
            }
            Self::Mode => "000 to 777".into(),
            Self::Choice(choices) => {
                let words: Vec<_> = choices.iter().map(|(choice, _)| *choice).collect();
                words.join(", ")
            }
            _ => return None,
        })
    }

    /// A value as an operator writes it.
    pub(crate) fn show(&self, value: &Value) -> String {
        match (self, value) {
            (Self::Mode, Value::Number(mode)) => format!("{mode:o}"),
            (Self::Size(_), Value::Number(bytes)) => ShowSize(*bytes).to_string(),
            (_, Value::Number(number)) => number.to_string(),
            (_, Value::Duration(duration)) => ShowDuration(*duration).to_string(),
            (_, Value::Flag(flag)) => flag.to_string(),
            (_, Value::Text(text)) => text.clone(),
            (_, Value::List(items)) => items.join(","),
        }
    }

    /// A value in an error: a text in quotes.
    pub(super) fn quote(&self, value: &Value) -> String {
        match value {
            Value::Text(text) => format!("{text:?}"),
            Value::List(items) => format!("{items:?}"),
            value => self.show(value),
        }
    }

    /// What the help calls a value.
    pub(super) fn value_name(&self) -> &'static str {
        match self {
            Self::Number(_) | Self::NumberOrAuto(_) => "NUMBER",
            Self::Duration(_) => "DURATION",
            Self::Size(_) => "SIZE",
            Self::Mode => "MODE",
            Self::Flag => "BOOL",
            Self::Path | Self::Paths => "PATH",
            Self::Text | Self::Parsed(_) => "TEXT",
            Self::Name | Self::Names => "NAME",
            Self::Choice(_) => "FORMAT",
        }
    }

    /// Whether a setting has several values, and can be given several times.
    #[must_use]
    pub fn is_list(&self) -> bool {
        matches!(self, Self::Paths | Self::Names)
    }
}

fn text(input: RawValue) -> Result<String, String> {
    match input {
        RawValue::Text(text) => Ok(text),
        _ => Err("expected a text in quotes".into()),
    }
}

fn path(input: RawValue) -> Result<String, String> {
    let path = text(input)?;
    if path.is_empty() {
        return Err("expected a path; leave the key out for none".into());
    }
    Ok(path)
}

fn name(input: RawValue) -> Result<String, String> {
    match input {
        RawValue::Text(text) => Ok(text),
        RawValue::Integer(number) | RawValue::Octal(number) => Ok(number.to_string()),
        _ => Err("expected a text in quotes, or a number".into()),
    }
}

/// One value, or several.
fn several(input: RawValue, one: fn(RawValue) -> Result<String, String>) -> Result<Value, String> {
    let items = match input {
        RawValue::List(items) => items.into_iter().map(one).collect::<Result<_, _>>()?,
        input => vec![one(input)?],
    };
    Ok(Value::List(items))
}

/// The texts of a value.
fn texts(value: &Value) -> impl Iterator<Item = &String> {
    let (one, several) = match value {
        Value::Text(text) => (Some(text), &[][..]),
        Value::List(items) => (None, &items[..]),
        _ => (None, &[][..]),
    };
    one.into_iter().chain(several)
}

/// As an environment variable says no.
fn is_false(text: &str) -> bool {
    let text = text.to_ascii_lowercase();
    matches!(&*text, "" | "0" | "f" | "false" | "n" | "no" | "off")
}

fn or(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [word] => (*word).to_owned(),
        [words @ .., last] => format!("{} or {last}", words.join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NUMBER: Kind = Kind::Number(1..=10);
    const DURATION: Kind = Kind::Duration(Duration::ZERO..=Duration::from_secs(60));

    #[test]
    fn a_text_is_parsed_by_its_kind() {
        for (kind, text, value) in [
            (NUMBER, "5", Value::Number(5)),
            (
                DURATION,
                "500ms",
                Value::Duration(Duration::from_millis(500)),
            ),
            (Kind::Size(0..=u64::MAX), "16K", Value::Number(16 << 10)),
            (Kind::Mode, "027", Value::Number(0o27)),
            (Kind::Flag, "true", Value::Flag(true)),
            (Kind::Flag, "no", Value::Flag(false)),
            (Kind::Path, "a", Value::Text("a".into())),
            (
                Kind::Names,
                "a,8001",
                Value::List(vec!["a".into(), "8001".into()]),
            ),
            (
                Kind::NumberOrAuto(0..=4),
                "auto",
                Value::Text("auto".into()),
            ),
            (Kind::NumberOrAuto(0..=4), "3", Value::Number(3)),
        ] {
            assert_eq!(kind.parse(text), Ok(value), "{text}");
        }
        for (kind, text, error) in [
            (NUMBER, "+5", WHOLE_NUMBER),
            (NUMBER, "", WHOLE_NUMBER),
            (Kind::Path, "", "expected a path"),
            (Kind::Mode, "8", "expected an octal number, such as 027"),
            (
                Kind::NumberOrAuto(0..=4),
                "many",
                "expected a number or \"auto\"",
            ),
            (
                Kind::Choice(&[("text", ""), ("json", "")]),
                "xml",
                "unknown value \"xml\"; choose text or json",
            ),
        ] {
            assert_eq!(kind.parse(text).unwrap_err(), error, "{text}");
        }
    }

    #[test]
    fn a_number_of_a_file_is_no_mode_unless_it_is_octal() {
        assert_eq!(
            Kind::Mode.read(RawValue::Octal(0o27)),
            Ok(Value::Number(0o27))
        );
        assert!(Kind::Mode.read(RawValue::Integer(27)).is_err());
        assert!(NUMBER.read(RawValue::Text("5".into())).is_err());
        assert_eq!(
            DURATION.read(RawValue::OtherNumber("0.5".into())),
            Ok(Value::Duration(Duration::from_millis(500)))
        );
    }

    #[test]
    fn the_range_is_named_in_the_units_of_the_kind() {
        let check = |kind: Kind, value| kind.check(&value).unwrap_err();
        assert_eq!(
            check(NUMBER, Value::Number(11)),
            "choose a number from 1 to 10"
        );
        let long = Value::Duration(Duration::MAX);
        assert_eq!(check(DURATION, long), "choose a duration from 0s to 1m");
        let size = Kind::Size(8 << 10..=16 << 20);
        assert_eq!(
            check(size, Value::Number(100)),
            "choose a size from 8K to 16M"
        );
        let size = Kind::Size(1 << 20..=u64::MAX);
        assert_eq!(check(size, Value::Number(100)), "choose at least 1M");
        assert_eq!(
            check(Kind::Mode, Value::Number(0o1000)),
            "choose from 000 to 777"
        );
        let path = Value::Text("a\u{fffd}".into());
        assert_eq!(check(Kind::Path, path), "choose a path in UTF-8");
    }
}
