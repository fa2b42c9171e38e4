//! The command line of `tower-wsgi`, and that of a Python program that serves applications.

use std::ffi::OsString;

use clap::{
    ArgMatches, Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand,
    builder::{Resettable, StyledStr},
    error::{ContextKind, ContextValue, ErrorKind},
    parser::ValueSource,
};
use tower_prefork::{
    Config, cli,
    settings::{Kind, Overrides, Setting, Settings, Value},
};

use super::{
    application::ApplicationArgs,
    settings::{Options, THREAD_WORKERS},
    tips::tip,
    wsgi_config::WsgiConfig,
};

/// Serve a Python WSGI application
///
/// Each worker is a separate process that imports the application; each of its threads handles one request at a time.
/// SIGTERM or Ctrl-C stops the server after the running requests.
#[derive(Debug, Parser)]
#[command(
    name = "tower-wsgi",
    version,
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true,
    subcommand_negates_reqs = true
)]
pub(super) struct Command {
    #[command(subcommand)]
    action: Option<Action>,

    /// The application: MODULE:CALLABLE, such as `mysite.wsgi:application`, or a call of a factory, such as
    /// `mysite:create_app()`; the default callable is `application`. It can also be set by the key `application` of the
    /// configuration file
    #[arg(value_name = "MODULE:CALLABLE", required_unless_present = "config")]
    application: Option<String>,

    #[command(flatten)]
    application_args: ApplicationArgs,

    #[command(flatten)]
    options: Options,
}

/// The subcommands.
///
/// To serve an application in a module of such a name, name the callable too, as in `ctl:application`.
#[derive(Debug, Subcommand)]
enum Action {
    Ctl(cli::Ctl),
}

/// A command line of `tower-wsgi`.
pub(super) enum Parsed {
    Serve(Box<Serve>),
    Ctl(cli::Ctl),
}

/// An application to serve.
pub(super) struct Serve {
    /// `None` if the configuration file names it.
    pub(super) application: Option<String>,
    pub(super) application_args: ApplicationArgs,
    pub(super) options: Options,
}

/// Parses the command line of `tower-wsgi`. The error is the exit code, after the help or an error message was printed.
pub(super) fn parse(argv: Vec<OsString>) -> Result<Parsed, u8> {
    // The options after `ctl` are those of a client.
    let tip = match argv.get(1) {
        Some(word) if word == "ctl" => |_: &str| None,
        _ => tip,
    };
    let matches = matches(command(Command::command(), &argv), argv, tip)?;
    let Command {
        action,
        application,
        application_args,
        options,
    } = Command::from_arg_matches(&matches).map_err(|error| print(&error))?;
    Ok(match action {
        Some(Action::Ctl(ctl)) => Parsed::Ctl(ctl),
        None => Parsed::Serve(Box::new(Serve {
            application,
            application_args,
            options,
        })),
    })
}

/// What the help of a Python program says of the program.
#[derive(Debug, Default)]
pub(super) struct ProgramText {
    pub(super) about: Option<String>,
    pub(super) epilog: Option<String>,
    /// Without one it is that of this package.
    pub(super) version: Option<String>,
}

/// Parses the command line of a Python program. The help shows the settings of the program as defaults.
pub(super) fn parse_options(
    argv: Vec<OsString>,
    text: ProgramText,
    defaults: Option<&Options>,
) -> Result<Options, u8> {
    let name = argv.first().map(|name| name.to_string_lossy().into_owned());
    let package = format!("(tower-wsgi {})", env!("CARGO_PKG_VERSION"));
    let program = clap::Command::new(name.unwrap_or_default());
    // Over the documentation of the options.
    let mut program = command(Options::augment_args(program), &argv)
        .about(Resettable::from(text.about.map(StyledStr::from)))
        .after_help(Resettable::from(text.epilog.map(StyledStr::from)))
        .version(text.version.unwrap_or(package));
    if let Some(defaults) = defaults {
        program = with_defaults(program, &defaults.server.server);
        program = with_defaults(program, &defaults.server.program);
        program = with_defaults(program, &defaults.wsgi);
    }
    let matches = matches(program, argv, tip)?;
    Options::from_arg_matches(&matches).map_err(|error| print(&error))
}

/// The command whose help shows the values that a program has set.
fn with_defaults<S: Settings>(command: clap::Command, given: &Overrides<S>) -> clap::Command {
    let mut values = S::default();
    given.apply(&mut values);
    let settings = S::TABLE.iter();
    let settings = settings.filter(|setting| given.get(setting.name).is_some());
    settings.fold(command, |command, setting| {
        let default = setting.default_text(&values);
        let help = |option: clap::Arg| {
            let text = option
                .get_help()
                .map(ToString::to_string)
                .unwrap_or_default();
            let text = text
                .rsplit_once(" [default: ")
                .map_or(&*text, |(text, _)| text);
            let help = cli::help(text, &default);
            option.help(help)
        };
        command.mut_arg(setting.name, help)
    })
}

/// Parses a command line. The error for an option of another server names the equivalent option.
fn matches(
    mut command: clap::Command,
    argv: Vec<OsString>,
    tip: fn(&str) -> Option<String>,
) -> Result<ArgMatches, u8> {
    let error = match command.try_get_matches_from_mut(bare_options(argv)) {
        Ok(matches) if names_two_pools(&matches) => {
            let text = "--greenlet and --thread-workers exclude each other: greenlets take the place of threads";
            return Err(print(&command.error(ErrorKind::ArgumentConflict, text)));
        }
        Ok(matches) => return Ok(matches),
        Err(error) => error,
    };
    if error.kind() == ErrorKind::UnknownArgument
        && let Some(ContextValue::String(option)) = error.get(ContextKind::InvalidArg)
        && let Some(tip) = tip(option)
    {
        let text = format!("unexpected argument '{option}': {tip}");
        return Err(print(&command.error(ErrorKind::UnknownArgument, text)));
    }
    Err(print(&error))
}

/// The command line, where an option whose number may be left out does not take the application, or an address, for it.
fn bare_options(argv: Vec<OsString>) -> Vec<OsString> {
    let options = WsgiConfig::TABLE.iter();
    let bare = options.filter_map(|setting| Some((setting.option(), setting.bare?)));
    let bare: Vec<_> = bare.collect();
    let mut following = argv.clone().into_iter().skip(1);
    let explicit = argv.into_iter().map(|argument| {
        let next = following.next().unwrap_or_default();
        let is_number = next.as_encoded_bytes().iter().all(u8::is_ascii_digit) && !next.is_empty();
        let option = argument
            .to_str()
            .and_then(|argument| argument.strip_prefix("--"));
        match bare.iter().find(|(name, _)| Some(&**name) == option) {
            Some((name, value)) if !is_number => format!("--{name}={value}").into(),
            _ => argument,
        }
    });
    explicit.collect()
}

/// Whether the command line asks for greenlets and for a number of threads. An environment variable that does is
/// overridden.
fn names_two_pools(matches: &ArgMatches) -> bool {
    let is_given = |name| matches.value_source(name) == Some(ValueSource::CommandLine);
    let greenlets = matches.try_get_one::<Value>("greenlet");
    let wants_greenlets =
        greenlets.is_ok_and(|value| value.is_some_and(|value| *value != Value::Number(0)));
    is_given("greenlet") && wants_greenlets && is_given("thread_workers")
}

/// Replaces help texts of `tower-prefork` that are different here.
fn command(command: clap::Command, argv: &[OsString]) -> clap::Command {
    let program = argv.first().map(|name| name.to_string_lossy().into_owned());
    let command = match program {
        Some(program) => command.bin_name(program),
        None => command,
    };
    let command = with_default(
        command,
        "bind",
        "127.0.0.1:8000, or 0.0.0.0:$PORT if PORT is set",
    );
    let command = with_default(
        command,
        "workers",
        "auto, or $WEB_CONCURRENCY if that is set",
    );
    command.mut_arg("thread_workers", |option| {
        let text = "Number of threads of each worker that call the application; 0 calls it on the event loop, for \
                    applications that never block";
        option.help(cli::help(text, &THREAD_WORKERS.to_string()))
    })
}

/// The help of an option, with another default.
fn with_default(command: clap::Command, name: &str, default: &str) -> clap::Command {
    let help = Config::find(name).map(Setting::help).unwrap_or_default();
    command.mut_arg(name, |option| option.help(cli::help(&help, default)))
}

/// The options that need no value.
pub(super) fn flags() -> Vec<String> {
    let server = Config::TABLE.iter();
    let server = server.map(|setting| (setting.option(), &setting.kind));
    let wsgi = WsgiConfig::TABLE.iter();
    let wsgi = wsgi.map(|setting| (setting.option(), &setting.kind));
    let flags = server.chain(wsgi);
    let flags = flags.filter(|(_, kind)| matches!(kind, Kind::Flag));
    flags.map(|(name, _)| format!("--{name}")).collect()
}

fn print(error: &clap::Error) -> u8 {
    // A failure has nowhere else to go.
    let _ = error.print();
    u8::try_from(error.exit_code()).unwrap_or(2)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::command::settings::Settings;

    fn argv(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    fn serve(line: &str) -> Serve {
        match parse(argv(line)) {
            Ok(Parsed::Serve(serve)) => *serve,
            _ => panic!("{line}"),
        }
    }

    #[test]
    fn clap_accepts_the_definition() {
        Command::command().debug_assert();
    }

    #[test]
    fn an_application_and_its_options() {
        let parsed = serve(
            "tower-wsgi site:app -w 4 --thread-workers 0 --env A=1 --env B=c=d --script-name /x",
        );
        assert_eq!(parsed.application.as_deref(), Some("site:app"));
        let threads = parsed.options.server.server.get("thread_workers");
        assert_eq!(threads, Some(&Value::Number(0)));
        let variables = [("A", "1"), ("B", "c=d")].map(|(n, v)| (n.to_owned(), v.to_owned()));
        assert_eq!(parsed.application_args.env, variables);
        let mut settings = Settings::default();
        parsed.options.apply(&mut settings);
        let script_name = settings.command_line.wsgi.get("script_name");
        assert_eq!(script_name, Some(&Value::Text("/x".into())));
        assert_eq!(settings.command_line.wsgi.get("max_body"), None);
        let parsed = serve("tower-wsgi site:app --max-body 10M");
        let max_body = parsed.options.wsgi.get("max_body");
        assert_eq!(max_body, Some(&Value::Number(10 << 20)));
        let strict = |line: &str| serve(line).options.wsgi.get("strict").cloned();
        assert_eq!(strict("tower-wsgi site:app"), None);
        assert_eq!(
            strict("tower-wsgi --strict site:app"),
            Some(Value::Flag(true))
        );
        assert_eq!(
            strict("tower-wsgi --strict=no site:app"),
            Some(Value::Flag(false))
        );
        assert_eq!(serve("tower-wsgi -c x.toml").application, None);
    }

    #[test]
    fn the_number_of_greenlets_may_be_left_out() {
        let greenlets = |line: &str| serve(line).options.wsgi.get("greenlet").cloned();
        for (line, number) in [
            ("tower-wsgi site:app --greenlet", 100),
            ("tower-wsgi --greenlet site:app", 100),
            ("tower-wsgi --greenlet 7 site:app", 7),
            ("tower-wsgi --greenlet=7 site:app", 7),
            ("tower-wsgi --greenlet -w 2 site:app", 100),
            ("tower-wsgi --greenlet 0 --thread-workers 3 site:app", 0),
        ] {
            assert_eq!(greenlets(line), Some(Value::Number(number)), "{line}");
        }
        assert_eq!(greenlets("tower-wsgi site:app"), None);
        let both = "tower-wsgi site:app --greenlet --thread-workers 3";
        assert_eq!(parse(argv(both)).err(), Some(2));
    }

    #[test]
    fn the_file_of_the_command_line_overrides_the_programs() {
        let file = |line: &str| {
            let mut settings = Settings::default();
            settings.command_line.server.config = Some("program.toml".into());
            serve(line).options.apply(&mut settings);
            settings.command_line.server.config.unwrap()
        };
        assert_eq!(file("tower-wsgi a:b"), PathBuf::from("program.toml"));
        assert_eq!(file("tower-wsgi a:b -c x.toml"), PathBuf::from("x.toml"));
    }

    #[test]
    fn a_word_is_a_command_and_a_callable_is_an_application() {
        for line in ["ctl status", "ctl scale 3 --control-socket a"] {
            let parsed = parse(argv(&format!("tower-wsgi {line}")));
            assert!(matches!(parsed, Ok(Parsed::Ctl(_))), "{line}");
        }
        for application in ["ctl:app", "ctl:application", "ctl.wsgi", "help"] {
            let parsed = serve(&format!("tower-wsgi {application} -w 1"));
            assert_eq!(parsed.application.as_deref(), Some(application));
        }
        let parsed = serve("tower-wsgi -w 1 ctl:app");
        assert_eq!(parsed.application.as_deref(), Some("ctl:app"));
        assert_eq!(parse(argv("tower-wsgi ctl")).err(), Some(2));
        assert_eq!(parse(argv("tower-wsgi ctl dance")).err(), Some(2));
        assert_eq!(parse(argv("tower-wsgi ctl --help")).err(), Some(0));
    }

    #[test]
    fn help_is_no_failure_and_nonsense_is() {
        let all = [
            "--compress",
            "--proxy-protocol",
            "--request-id",
            "--reload",
            "--strict",
        ];
        assert_eq!(flags(), all);
        assert_eq!(parse(argv("tower-wsgi --help")).err(), Some(0));
        assert_eq!(parse(argv("tower-wsgi")).err(), Some(2));
        assert_eq!(parse(argv("tower-wsgi site:app --env =x")).err(), Some(2));
        assert_eq!(
            parse_options(argv("site.py --nonsense"), ProgramText::default(), None).err(),
            Some(2)
        );
    }
}
