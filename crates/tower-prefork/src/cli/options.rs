//! Settings as options of clap.

use clap::{
    Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches,
    builder::{PossibleValue, PossibleValuesParser, TypedValueParser, ValueParser},
    error::Error,
};

use crate::settings::{Kind, Overrides, Setting, Settings, Value};

impl<S: Settings> Args for Overrides<S> {
    fn augment_args(command: Command) -> Command {
        let defaults = S::default();
        let command = command.next_help_heading(S::HEADING);
        command.args(S::TABLE.iter().map(|setting| option(setting, &defaults)))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl<S: Settings> FromArgMatches for Overrides<S> {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let mut overrides = Self::default();
        overrides.update_from_arg_matches(matches)?;
        Ok(overrides)
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        for setting in S::TABLE {
            let values = matches.get_many::<Value>(setting.name);
            let mut values = values.into_iter().flatten().cloned();
            let Some(first) = values.next() else {
                continue;
            };
            self.insert(setting, values.fold(first, joined));
        }
        Ok(())
    }
}

/// A list that was given several times. Of other values the last one counts.
fn joined(before: Value, value: Value) -> Value {
    match (before, value) {
        (Value::List(mut items), Value::List(others)) => {
            items.extend(others);
            Value::List(items)
        }
        (_, value) => value,
    }
}

/// The option of a setting, which is an environment variable as well.
fn option<S: Settings>(setting: &'static Setting<S>, defaults: &S) -> Arg {
    let help = help(&setting.help(), &setting.default_text(defaults));
    let mut option = Arg::new(setting.name)
        .long(setting.option())
        .env(setting.variable())
        .value_name(setting.value_name())
        .value_parser(parser(setting))
        .help(help);
    if let Some(short) = setting.short {
        option = option.short(short);
    }
    if setting.kind.is_list() {
        option = option.action(ArgAction::Append);
    }
    if matches!(setting.kind, Kind::Flag) {
        option = option
            .num_args(0..=1)
            .require_equals(true)
            .default_missing_value("true");
    }
    if let Some(bare) = setting.bare {
        option = option.num_args(0..=1).default_missing_value(bare);
    }
    option
}

fn parser<S: Settings>(setting: &'static Setting<S>) -> ValueParser {
    if let Kind::Choice(choices) = setting.kind {
        let choices = choices.iter();
        let choices = choices.map(|(name, help)| PossibleValue::new(*name).help(*help));
        return PossibleValuesParser::new(choices).map(Value::Text).into();
    }
    ValueParser::new(|text: &str| setting.parse(text))
}

/// The help of an option: what it is, and its default.
#[must_use]
pub fn help(text: &str, default: &str) -> String {
    format!("{text} [default: {default}]")
}
