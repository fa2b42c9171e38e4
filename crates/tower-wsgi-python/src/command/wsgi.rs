//! What can be set for the WSGI part of a server.

use clap::Args;
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
}

/// What holds.
pub(super) struct WsgiConfig {
    pub(super) script_name: String,
    pub(super) max_body: u64,
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
}

impl WsgiConfig {
    /// The command line goes over the file, and that over the program.
    pub(super) fn new(given: &Wsgi, file: &Config, program: &Wsgi) -> Self {
        let script_name = given.script_name.clone();
        let script_name = script_name.or_else(|| file.file_value("script_name"));
        let script_name = script_name.or_else(|| program.script_name.clone());
        let max_body = given.max_body;
        let max_body = max_body.or_else(|| file.file_value("max_body").map(|Size(bytes)| bytes));
        Self {
            script_name: script_name.unwrap_or_default(),
            max_body: max_body.or(program.max_body).unwrap_or(1 << 30),
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
        };
        let given = Wsgi {
            max_body: Some(2),
            ..Wsgi::default()
        };
        let holds = WsgiConfig::new(&given, &Config::default(), &program);
        assert_eq!((&*holds.script_name, holds.max_body), ("/a", 2));
        let nothing = Wsgi::default();
        let holds = WsgiConfig::new(&nothing, &Config::default(), &nothing);
        assert_eq!((&*holds.script_name, holds.max_body), ("", 1 << 30));
    }
}
