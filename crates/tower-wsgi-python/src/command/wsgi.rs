//! What can be set for the WSGI part of a server.

use clap::{Args, builder::FalseyValueParser};
use serde::Deserialize;
use tower_prefork::{Config, Server, cli};

/// What one place says: the program, or the command line.
#[derive(Clone, Debug, Default, Args)]
#[command(next_help_heading = "WSGI")]
pub(super) struct Wsgi {
    /// Path at which the application is mounted: its `SCRIPT_NAME` [default: none]
    #[arg(long, value_name = "PATH", env = "TOWER_WSGI_SCRIPT_NAME")]
    pub(super) script_name: Option<String>,

    /// Maximum size of a request body; a larger one is answered with 413 [default: 1G]
    #[arg(long, value_name = "SIZE", env = "TOWER_WSGI_MAX_BODY", value_parser = cli::size)]
    pub(super) max_body: Option<u64>,

    /// Maximum size of the temporary files of all responses of a worker; beyond it threads wait for their clients
    /// [default: 1G]
    #[arg(long, value_name = "SIZE", env = "TOWER_WSGI_MAX_SPOOLED", value_parser = cli::size)]
    pub(super) max_spooled: Option<u64>,

    /// Maximum size of the temporary file of one response; beyond it its thread waits for its client [default: 64M]
    #[arg(long, value_name = "SIZE", env = "TOWER_WSGI_MAX_SPOOLED_RESPONSE", value_parser = cli::size)]
    pub(super) max_spooled_response: Option<u64>,

    /// Maximum size of the temporary files of all request bodies of a worker; beyond it larger requests are answered
    /// with 503 [default: 4G]
    #[arg(long, value_name = "SIZE", env = "TOWER_WSGI_MAX_SPOOLED_BODIES", value_parser = cli::size)]
    pub(super) max_spooled_bodies: Option<u64>,

    /// Hold the application to the letter of PEP 3333: hop-by-hop header fields, header fields that are
    /// not a list of tuples, and a status without a reason are errors [default: false]
    #[arg(
        long,
        value_name = "BOOL",
        env = "TOWER_WSGI_STRICT",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "true",
        value_parser = FalseyValueParser::new()
    )]
    pub(super) strict: Option<bool>,
}

/// What holds.
pub(super) struct WsgiConfig {
    pub(super) script_name: String,
    pub(super) max_body: u64,
    pub(super) max_spooled: usize,
    pub(super) max_spooled_response: usize,
    pub(super) max_spooled_bodies: usize,
    /// Whether the application is held to the letter of PEP 3333.
    pub(super) strict: bool,
}

/// A size in a file.
#[derive(Deserialize)]
#[serde(try_from = "NumberOrText")]
struct Size(u64);

#[derive(Deserialize)]
#[serde(
    untagged,
    expecting = "expected a size: bytes, or a whole number with K, M or G in quotes, such as \"10M\""
)]
enum NumberOrText {
    Number(u64),
    Text(String),
}

impl TryFrom<NumberOrText> for Size {
    type Error = String;

    fn try_from(value: NumberOrText) -> Result<Self, String> {
        match value {
            NumberOrText::Number(bytes) => Ok(Self(bytes)),
            NumberOrText::Text(text) => cli::size(&text).map(Self),
        }
    }
}

/// Lets a file say all of it.
pub(super) fn file_keys(server: Server) -> Server {
    server
        .file_key::<String>("script_name")
        .file_key::<Size>("max_body")
        .file_key::<Size>("max_spooled")
        .file_key::<Size>("max_spooled_response")
        .file_key::<Size>("max_spooled_bodies")
        .file_key::<bool>("strict")
}

impl WsgiConfig {
    /// The command line goes over the file, and that over the program.
    pub(super) fn new(given: &Wsgi, file: &Config, program: &Wsgi) -> Self {
        let script_name = given.script_name.clone();
        let script_name = script_name.or_else(|| file.file_value("script_name"));
        let script_name = script_name.or_else(|| program.script_name.clone());
        let size = |name: &str, of: fn(&Wsgi) -> Option<u64>, default: u64| {
            let in_file = || file.file_value(name).map(|Size(bytes)| bytes);
            of(given)
                .or_else(in_file)
                .or_else(|| of(program))
                .unwrap_or(default)
        };
        let length = |name: &str, of: fn(&Wsgi) -> Option<u64>, default: u64| {
            usize::try_from(size(name, of, default)).unwrap_or(usize::MAX)
        };
        let strict = given.strict.or_else(|| file.file_value("strict"));
        Self {
            script_name: script_name.unwrap_or_default(),
            max_body: size("max_body", |it| it.max_body, 1 << 30),
            max_spooled: length("max_spooled", |it| it.max_spooled, 1 << 30),
            max_spooled_response: length(
                "max_spooled_response",
                |it| it.max_spooled_response,
                64 << 20,
            ),
            max_spooled_bodies: length("max_spooled_bodies", |it| it.max_spooled_bodies, 4 << 30),
            strict: strict.or(program.strict).unwrap_or_default(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_goes_over_the_program() {
        let program = Wsgi {
            script_name: Some("/a".into()),
            max_body: Some(1),
            strict: Some(true),
            max_spooled: Some(3),
            ..Wsgi::default()
        };
        let given = Wsgi {
            max_body: Some(2),
            ..Wsgi::default()
        };
        let holds = WsgiConfig::new(&given, &Config::default(), &program);
        assert_eq!((&*holds.script_name, holds.max_body), ("/a", 2));
        assert_eq!((holds.max_spooled, holds.max_spooled_bodies), (3, 4 << 30));
        assert!(holds.strict);
        let given = Wsgi {
            strict: Some(false),
            ..Wsgi::default()
        };
        assert!(!WsgiConfig::new(&given, &Config::default(), &program).strict);
        let nothing = Wsgi::default();
        let holds = WsgiConfig::new(&nothing, &Config::default(), &nothing);
        assert_eq!((&*holds.script_name, holds.max_body), ("", 1 << 30));
    }
}
