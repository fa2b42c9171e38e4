use std::{ffi::OsString, path::PathBuf};

use clap::{Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};
use tower_prefork::cli;

use super::settings::Settings;

/// Serve a Python WSGI application
///
/// Each worker is a process of its own that imports the application; each of its threads answers one
/// request at a time. Stop it with SIGTERM or Ctrl-C: running requests finish.
#[derive(Debug, Parser)]
#[command(
    name = "tower-wsgi",
    version,
    args_conflicts_with_subcommands = true,
    disable_help_subcommand = true,
    subcommand_negates_reqs = true
)]
struct Command {
    #[command(subcommand)]
    action: Option<Action>,

    /// The application: MODULE:CALLABLE, as in `mysite.wsgi:application`, or a factory, as in
    /// `mysite:create_app()`; without a callable it is `application`
    #[arg(value_name = "MODULE:CALLABLE", required = true)]
    application: Option<String>,

    #[command(flatten)]
    place: Place,

    #[command(flatten)]
    options: Options,
}

/// What the command does besides serving.
///
/// An application in a module of such a name is served by its callable, as in `ctl:application`.
#[derive(Debug, Subcommand)]
enum Action {
    Ctl(cli::Ctl),
}

/// Where the application lives.
#[derive(Debug, Args)]
#[command(next_help_heading = "Application")]
pub(super) struct Place {
    /// Go to this directory before the application is imported [default: the current one]
    #[arg(long, value_name = "DIRECTORY")]
    pub(super) chdir: Option<PathBuf>,

    /// A directory in which modules are looked for; can be given several times
    #[arg(long, value_name = "DIRECTORY")]
    pub(super) pythonpath: Vec<PathBuf>,

    /// An environment variable for the application; can be given several times
    #[arg(long, value_name = "NAME=VALUE", value_parser = variable)]
    pub(super) env: Vec<(String, String)>,
}

/// What can be set on every command line of a server.
#[derive(Clone, Debug, Args)]
pub(super) struct Options {
    #[command(flatten)]
    pub(super) server: cli::Args,

    #[command(flatten)]
    pub(super) wsgi: Wsgi,
}

#[derive(Clone, Debug, Args)]
#[command(next_help_heading = "WSGI")]
pub(super) struct Wsgi {
    /// The path at which the application is mounted: its `SCRIPT_NAME` [default: none]
    #[arg(long, value_name = "PATH", env = "TOWER_WSGI_SCRIPT_NAME")]
    pub(super) script_name: Option<String>,

    /// The largest body of a request; a larger one is answered with 413 [default: 1073741824]
    #[arg(long, value_name = "BYTES", env = "TOWER_WSGI_MAX_BODY")]
    pub(super) max_body: Option<u64>,
}

impl Options {
    /// What is given replaces what is set.
    pub(super) fn apply(self, settings: &mut Settings) {
        if let Some(path) = self.wsgi.script_name {
            settings.script_name = path;
        }
        if let Some(bytes) = self.wsgi.max_body {
            settings.max_body = bytes;
        }
        let file = settings.given.config.take();
        settings.given = self.server;
        settings.given.config = settings.given.config.take().or(file);
    }
}

/// A command line of `tower-wsgi`.
pub(super) enum Parsed {
    Serve(Box<Serve>),
    Ctl(cli::Ctl),
}

/// An application to serve.
pub(super) struct Serve {
    pub(super) application: String,
    pub(super) place: Place,
    pub(super) options: Options,
}

/// The error is the exit code, after the help or the problem has been printed.
pub(super) fn parse(argv: Vec<OsString>) -> Result<Parsed, u8> {
    let matches = command(Command::command(), &argv).try_get_matches_from(argv);
    let Command {
        action,
        application,
        place,
        options,
    } = matches
        .and_then(|matches| Command::from_arg_matches(&matches))
        .map_err(|error| print(&error))?;
    Ok(match action {
        Some(Action::Ctl(ctl)) => Parsed::Ctl(ctl),
        None => Parsed::Serve(Box::new(Serve {
            // There is one, or the parser has refused.
            application: application.unwrap_or_default(),
            place,
            options,
        })),
    })
}

/// The options of a program that serves callables of its own.
pub(super) fn parse_options(argv: Vec<OsString>, about: Option<String>) -> Result<Options, u8> {
    let mut program = Options::augment_args(clap::Command::new("program"));
    if let Some(about) = about {
        program = program.about(about);
    }
    let matches = command(program, &argv).try_get_matches_from(argv);
    matches
        .and_then(|matches| Options::from_arg_matches(&matches))
        .map_err(|error| print(&error))
}

/// What is different from other programs of the server.
fn command(command: clap::Command, argv: &[OsString]) -> clap::Command {
    let program = argv.first().map(|name| name.to_string_lossy().into_owned());
    let command = match program {
        Some(program) => command.bin_name(program),
        None => command,
    };
    command.mut_arg("thread_workers", |argument| {
        argument.help(
            "Threads that call the application, in each worker; 0 calls it on the event loop, for \
             applications that never wait [default: 5]",
        )
    })
}

fn print(error: &clap::Error) -> u8 {
    // There is nowhere else to tell.
    let _ = error.print();
    u8::try_from(error.exit_code()).unwrap_or(2)
}

fn variable(text: &str) -> Result<(String, String), String> {
    match text.split_once('=') {
        Some((name, value)) if !name.is_empty() => Ok((name.to_owned(), value.to_owned())),
        _ => Err("expected NAME=VALUE".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

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
        assert_eq!(parsed.application, "site:app");
        assert_eq!(parsed.options.server.thread_workers, Some(0));
        let variables = [("A", "1"), ("B", "c=d")].map(|(n, v)| (n.to_owned(), v.to_owned()));
        assert_eq!(parsed.place.env, variables);
        let mut settings = Settings::default();
        parsed.options.apply(&mut settings);
        assert_eq!(settings.script_name, "/x");
        assert_eq!(settings.max_body, 1 << 30);
    }

    #[test]
    fn the_file_of_the_command_line_goes_over_the_programs() {
        let file = |line: &str| {
            let mut settings = Settings::default();
            settings.given.config = Some("program.toml".into());
            serve(line).options.apply(&mut settings);
            settings.given.config.unwrap()
        };
        assert_eq!(file("tower-wsgi a:b"), PathBuf::from("program.toml"));
        assert_eq!(file("tower-wsgi a:b -c x.toml"), PathBuf::from("x.toml"));
    }

    #[test]
    fn what_is_watched_is_where_the_application_lives() {
        let watched = |line: &str| {
            let parsed = serve(line);
            let mut settings = Settings::default();
            parsed.options.apply(&mut settings);
            settings.watch(&parsed.place);
            settings.given.reload_dir
        };
        let paths = |paths: &[&str]| paths.iter().map(PathBuf::from).collect::<Vec<_>>();
        assert_eq!(watched("tower-wsgi a:b --chdir x"), paths(&[]));
        assert_eq!(watched("tower-wsgi a:b --reload"), paths(&["."]));
        assert_eq!(
            watched("tower-wsgi a:b --reload --chdir x --pythonpath y"),
            paths(&["x", "y"])
        );
        assert_eq!(
            watched("tower-wsgi a:b --reload-dir z --chdir x"),
            paths(&["z"])
        );
    }

    #[test]
    fn a_word_is_a_command_and_a_callable_is_an_application() {
        for line in ["ctl status", "ctl scale 3 --control-socket a"] {
            let parsed = parse(argv(&format!("tower-wsgi {line}")));
            assert!(matches!(parsed, Ok(Parsed::Ctl(_))), "{line}");
        }
        for application in ["ctl:app", "ctl:application", "ctl.wsgi", "help"] {
            let parsed = serve(&format!("tower-wsgi {application} -w 1"));
            assert_eq!(parsed.application, application);
        }
        assert_eq!(serve("tower-wsgi -w 1 ctl:app").application, "ctl:app");
        assert_eq!(parse(argv("tower-wsgi ctl")).err(), Some(2));
        assert_eq!(parse(argv("tower-wsgi ctl dance")).err(), Some(2));
        assert_eq!(parse(argv("tower-wsgi ctl --help")).err(), Some(0));
    }

    #[test]
    fn help_is_no_failure_and_nonsense_is() {
        assert_eq!(parse(argv("tower-wsgi --help")).err(), Some(0));
        assert_eq!(parse(argv("tower-wsgi")).err(), Some(2));
        assert_eq!(parse(argv("tower-wsgi site:app --env =x")).err(), Some(2));
        assert_eq!(
            parse_options(argv("site.py --nonsense"), None).err(),
            Some(2)
        );
    }
}
