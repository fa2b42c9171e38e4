//! The options of a server: [`Args`].

use std::path::PathBuf;

use crate::{Config, ProgramConfig, settings::Overrides};

/// The options of a server, to flatten into a clap program.
///
/// Each is also an environment variable. An option that is not given leaves what the program has set;
/// the help shows the library's defaults. The options are the settings of [`Config`] and [`ProgramConfig`].
#[derive(Clone, Debug, Default, clap::Args)]
#[command(next_help_heading = "Server")]
#[non_exhaustive]
pub struct Args {
    /// TOML file with settings. Each option is a key in it, by the option's name with `_` for
    /// `-`; the environment and the command line override the file. See
    /// [`Server::config_file`](crate::Server::config_file).
    #[arg(
        help = "TOML file with settings, each by its option's name with \"_\" for \"-\". It is read \
                again at a reload; the environment and the command line override it [default: none]",
        short,
        long,
        value_name = "FILE",
        env = "TOWER_PREFORK_CONFIG"
    )]
    pub config: Option<PathBuf>,

    /// The settings of the server.
    #[command(flatten)]
    pub server: Overrides<Config>,

    /// The settings of the whole program.
    #[command(flatten)]
    pub program: Overrides<ProgramConfig>,
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use clap::{CommandFactory, Parser};
    use tower_serve::{AccessLog, AccessLogFormat};

    use super::*;
    use crate::{Workers, settings::Settings};

    #[derive(Parser)]
    struct Cli {
        #[command(flatten)]
        server: Args,
    }

    fn parse(arguments: &[&str]) -> Result<Args, clap::Error> {
        let arguments = ["shop"].iter().chain(arguments);
        Cli::try_parse_from(arguments).map(|cli| cli.server)
    }

    #[test]
    fn clap_accepts_the_definition() {
        Cli::command().debug_assert();
    }

    #[test]
    fn what_is_not_given_keeps_the_programs_value() {
        let mut config = Config {
            bind: vec!["9000".into()],
            thread_workers: 3,
            ..Config::default()
        };
        parse(&["--workers", "7"])
            .unwrap()
            .server
            .apply(&mut config);
        assert_eq!(config.bind, ["9000"]);
        assert_eq!(config.thread_workers, 3);
        assert_eq!(config.workers, Workers::Count(7));
    }

    #[test]
    fn what_is_given_replaces_it() {
        let mut config = Config {
            bind: vec!["9000".into()],
            ..Config::default()
        };
        let arguments = "-b :80 --bind unix:a,8001 -w auto --graceful-timeout 0.5 --max-headers 9";
        let arguments: Vec<_> = arguments.split(' ').collect();
        parse(&arguments).unwrap().server.apply(&mut config);
        assert_eq!(config.bind, [":80", "unix:a", "8001"]);
        assert_eq!(config.workers, Workers::Auto);
        assert_eq!(config.graceful_timeout, Duration::from_millis(500));
        assert_eq!(config.http.max_headers, 9);
    }

    #[test]
    fn the_directories_of_the_options_are_watched() {
        for (arguments, watched) in [
            (&[][..], &[][..]),
            (&["--reload"], &["."]),
            (
                &["--reload-dir", "a,b", "--reload-dir", "c"],
                &["a", "b", "c"],
            ),
            (&["--reload", "--reload-dir", "a"], &["a"]),
        ] {
            let mut config = Config::default();
            parse(arguments).unwrap().server.apply(&mut config);
            let watched: Vec<_> = watched.iter().map(PathBuf::from).collect();
            assert_eq!(config.watch, watched);
        }
    }

    #[test]
    fn the_access_log_and_its_format() {
        let mut config = Config::default();
        parse(&["--access-log", "-"])
            .unwrap()
            .server
            .apply(&mut config);
        assert_eq!(config.access_log, Some(AccessLog::new("-")));
        let arguments = ["--access-log-format", "json"];
        parse(&arguments).unwrap().server.apply(&mut config);
        parse(&["--access-log", "a.log"])
            .unwrap()
            .server
            .apply(&mut config);
        let log = AccessLog::new("a.log").format(AccessLogFormat::Json);
        assert_eq!(config.access_log, Some(log));
    }

    #[test]
    fn a_format_may_be_chosen_before_there_is_an_access_log() {
        let mut config = Config::default();
        let arguments = ["--access-log-format", "json"];
        parse(&arguments).unwrap().server.apply(&mut config);
        parse(&["--access-log", "-"])
            .unwrap()
            .server
            .apply(&mut config);
        let log = AccessLog::new("-").format(AccessLogFormat::Json);
        assert_eq!(config.access_log, Some(log));
    }

    #[test]
    fn sizes_and_modes_have_their_usual_forms() {
        let mut config = Config::default();
        let arguments = "--max-rss 512M --umask 027 --socket-mode 600 --max-header-size 16K \
                         --request-timeout 5m --header-timeout 500ms";
        let arguments: Vec<_> = arguments.split_whitespace().collect();
        let arguments = parse(&arguments).unwrap();
        arguments.server.apply(&mut config);
        let mut program = ProgramConfig::default();
        arguments.program.apply(&mut program);
        assert_eq!(config.socket_mode, 0o600);
        assert_eq!(config.http.max_header_size, 16 << 10);
        assert_eq!(config.http.request_timeout.as_secs(), 300);
        assert_eq!(config.http.header_timeout.as_millis(), 500);
        assert_eq!(
            (config.max_rss, program.umask),
            (Some(512 << 20), Some(0o27))
        );
    }

    #[test]
    fn nonsense_is_refused() {
        for arguments in [
            ["--workers", "many"],
            ["--graceful-timeout", "-1"],
            ["--graceful-timeout", "NaN"],
            ["--access-log-format", "xml"],
            ["--log-format", "xml"],
            ["--max-rss", "1T"],
            ["--max-rss", "99999999999G"],
            ["--max-header-size", "16KB"],
            ["--header-timeout", "10M"],
            ["--umask", "8"],
            ["--log-level", "a=b=c"],
        ] {
            assert!(parse(&arguments).is_err(), "{arguments:?}");
        }
    }

    #[test]
    fn every_option_has_its_variable_and_the_help_its_default() {
        for argument in Cli::command().get_arguments() {
            let name = argument.get_long().unwrap();
            let variable = format!("TOWER_PREFORK_{}", name.to_uppercase().replace('-', "_"));
            assert_eq!(argument.get_env().unwrap(), &*variable, "{name}");
            let help = argument.get_help().unwrap().to_string();
            assert!(help.ends_with(']') && help.contains("[default: "), "{name}");
        }
    }

    /// A setting is one entry: here is a program with one more.
    mod one_more {
        use super::*;

        crate::settings! {
            /// What can be set for the shop.
            #[derive(Clone, Debug)]
            struct Shop: "Shop", "SHOP_" {
                /// Number of goods on a page.
                page_size: usize = 20, { kind: crate::settings::Kind::Number(1..=100), short: Some('p') };
            }
        }

        #[derive(Parser)]
        struct Cli {
            #[command(flatten)]
            shop: Overrides<Shop>,
        }

        #[test]
        fn has_an_option_a_variable_a_key_and_a_row_of_the_documentation() {
            let cli = Cli::try_parse_from(["shop", "-p", "50"]).unwrap();
            let mut shop = Shop::default();
            assert_eq!(shop.page_size, 20);
            cli.shop.apply(&mut shop);
            assert_eq!(shop.page_size, 50);

            let command = Cli::command();
            let option = command.get_arguments().next().unwrap();
            assert_eq!(option.get_long(), Some("page-size"));
            assert_eq!(option.get_env().unwrap(), "SHOP_PAGE_SIZE");
            let help = option.get_help().unwrap().to_string();
            assert_eq!(help, "Number of goods on a page [default: 20]");
            assert_eq!(
                command.get_arguments().next().unwrap().get_help_heading(),
                Some("Shop")
            );
            assert!(Cli::try_parse_from(["shop", "-p", "many"]).is_err());

            let file = tempfile::NamedTempFile::new().unwrap();
            std::fs::write(&file, "page_size = 500").unwrap();
            let mut sources = crate::config::ConfigSources::default();
            sources.file(file.path().to_owned());
            sources.file_settings::<Shop>();
            let config = sources.resolve("shop").unwrap().config;
            config.file_settings::<Shop>().apply(&mut shop);
            assert_eq!(
                shop.check().unwrap_err().problem,
                "page_size is 500; choose a number from 1 to 100"
            );

            let row = "| `page_size`, `-p` | number | 20 | 1 to 100 | Number of goods on a page |";
            assert!(crate::settings::markdown::<Shop>().contains(row));
        }
    }
}
