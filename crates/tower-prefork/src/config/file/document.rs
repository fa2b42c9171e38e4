//! A configuration file: what it says for each setting, and in which line.

use std::{collections::BTreeMap, path::Path};

use toml::de::{DeTable, DeValue};

use super::{
    own::OwnKey,
    raw_value::raw_value,
    read::{line, read},
};
use crate::{
    config::{Config, ProgramConfig},
    settings::{Overrides, Setting, Settings},
};

/// What a configuration file says.
#[derive(Debug, Default)]
pub(crate) struct File {
    pub(crate) server: Overrides<Config>,
    pub(crate) program: Overrides<ProgramConfig>,
    /// The values of keys of the program's own.
    pub(in crate::config) own: BTreeMap<String, serde_json::Value>,
    /// The lines of each setting's values.
    pub(in crate::config) lines: BTreeMap<&'static str, Vec<usize>>,
}

impl File {
    /// Reads a file. Without the keys of the program, any unknown key may be one. The error is a sentence for the
    /// operator, after the file and the line.
    pub(crate) fn read(path: &Path, own: Option<&[OwnKey]>) -> Result<Self, String> {
        let text = read(path)?;
        let line = |place| line(text.as_bytes(), place);
        let invalid =
            |line: usize, problem: String| format!("{}:{line}: {problem}", path.display());
        let table = match DeTable::parse(&text) {
            Ok(table) => table.into_inner(),
            Err(error) => {
                let place = error.span().map_or(0, |span| span.start);
                return Err(invalid(line(place), error.message().replace('\n', ", ")));
            }
        };
        let is_own = |name: &str| own.is_none_or(|keys| keys.iter().any(|key| key.name == name));
        let is_known = |name: &str| names().any(|known| known == name) || is_own(name);
        let unknown = table.iter().filter(|(name, _)| !is_known(name.get_ref()));
        if let Some((name, value)) = unknown.min_by_key(|(name, _)| name.span().start) {
            let problem =
                describe_unknown(name.get_ref(), value.get_ref(), own.unwrap_or_default());
            return Err(invalid(line(name.span().start), problem));
        }
        let mut this = Self::default();
        this.server = this.take(&table, &line, &invalid)?;
        this.program = this.take(&table, &line, &invalid)?;
        for key in own.unwrap_or_default() {
            let Some(value) = table.get(key.name) else {
                continue;
            };
            let json = (key.read)(value.get_ref()).map_err(|problem| {
                invalid(line(value.span().start), format!("{}: {problem}", key.name))
            })?;
            this.own.insert(key.name.to_owned(), json);
        }
        Ok(this)
    }

    /// The settings of one kind that the table has.
    fn take<S: Settings>(
        &mut self,
        table: &DeTable<'_>,
        line: &impl Fn(usize) -> usize,
        invalid: &impl Fn(usize, String) -> String,
    ) -> Result<Overrides<S>, String> {
        let mut overrides = Overrides::default();
        for setting in S::TABLE {
            let Some(value) = table.get(setting.name) else {
                continue;
            };
            let lines = match value.get_ref() {
                DeValue::Array(items) => items.iter().map(|item| line(item.span().start)).collect(),
                _ => vec![line(value.span().start)],
            };
            let read = setting
                .read(raw_value(value.get_ref()))
                .map_err(|problem| {
                    let problem = format!("{}: {problem}", setting.name);
                    invalid(line(value.span().start), problem)
                })?;
            overrides.insert(setting, read);
            self.lines.insert(setting.name, lines);
        }
        Ok(overrides)
    }
}

/// The names of all settings.
fn names() -> impl Iterator<Item = &'static str> {
    fn of<S: Settings>() -> impl Iterator<Item = &'static str> {
        S::TABLE.iter().map(|setting: &Setting<S>| setting.name)
    }
    of::<Config>().chain(of::<ProgramConfig>())
}

fn describe_unknown(name: &str, value: &DeValue<'_>, own: &[OwnKey]) -> String {
    if matches!(value, DeValue::Table(_)) {
        return format!("unknown table {name:?}; write its keys without a table");
    }
    match nearest(name, own) {
        Some(nearest) => format!("unknown key {name:?}; did you mean {nearest:?}?"),
        None => format!("unknown key {name:?}"),
    }
}

/// The key that was probably meant.
fn nearest(name: &str, own: &[OwnKey]) -> Option<&'static str> {
    crate::settings::nearest(name, names().chain(own.iter().map(|key| key.name)))
}

#[cfg(test)]
mod tests {
    use std::{collections::BTreeMap, fs};

    use super::*;
    use crate::{
        Workers,
        config::{ConfigSources, resolve_all},
    };
    use tower_serve::{AccessLog, AccessLogFormat};

    /// The settings of a file that is called `F`, or why it is refused.
    fn applied(text: &str) -> Result<Config, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&file, text).unwrap();
        let mut sources = ConfigSources::default();
        sources.file(file.path().to_owned());
        let resolved = resolve_all([("shop", &sources)]);
        resolved
            .map(|(mut servers, _)| servers.remove(0).config)
            .map_err(|error| error.replace(&file.path().display().to_string(), "F"))
    }

    #[test]
    fn every_form_of_value() {
        let config = applied(
            r#"
            bind = ["127.0.0.1:0", "unix:a", 8001]
            workers = "auto"
            thread_workers = 1_000
            graceful_timeout = 0.5
            start_timeout = '7s'
            request_timeout = '5m'
            socket_mode = '600'
            max_rss = "512M"
            umask = "027"
            user = 1000
            group = "www-data"
            pid_file = "run/shop.pid"
            access_log_format = "json"
            access_log = "access.log"
            max_header_size = 0x4000
            "#,
        );
        let config = config.unwrap();
        assert_eq!(config.bind, ["127.0.0.1:0", "unix:a", "8001"]);
        assert_eq!(config.workers, Workers::Auto);
        assert_eq!(config.thread_workers, 1000);
        assert_eq!(config.graceful_timeout.as_millis(), 500);
        assert_eq!(config.start_timeout.as_secs(), 7);
        assert_eq!(config.http.request_timeout.as_secs(), 300);
        assert_eq!(config.socket_mode, 0o600);
        assert_eq!(config.max_rss, Some(512 << 20));
        assert_eq!(config.program.umask, Some(0o27));
        assert_eq!(config.program.user.as_deref(), Some("1000"));
        assert_eq!(config.program.group.as_deref(), Some("www-data"));
        assert_eq!(config.program.pid_file, Some("run/shop.pid".into()));
        let log = AccessLog::new("access.log").format(AccessLogFormat::Json);
        assert_eq!(config.access_log, Some(log));
        assert_eq!(config.http.max_header_size, 0x4000);

        let config = applied("bind = 8001\nworkers = 3\numask = 0o22\nmax_rss = 2097152").unwrap();
        assert_eq!(config.bind, ["8001"]);
        assert_eq!(config.workers, Workers::Count(3));
        assert_eq!(
            (config.program.umask, config.max_rss),
            (Some(0o22), Some(2 << 20))
        );
        assert!(applied("").is_ok());
        assert!(applied("# nothing\r\n\r\n").is_ok());
    }

    #[test]
    fn a_program_has_keys_of_its_own() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let resolved = |text: &str| {
            fs::write(&file, text).unwrap();
            let mut sources = ConfigSources::default();
            sources.file(file.path().to_owned());
            sources.file_key::<u64>("max_body");
            sources.file_key::<BTreeMap<String, String>>("env");
            let resolved = sources.resolve("shop");
            resolved
                .map(|resolved| resolved.config)
                .map_err(|error| error.replace(&file.path().display().to_string(), "F"))
        };
        let config = resolved("max_body = 0x10\nbacklog = 5\n[env]\nA = '1'").unwrap();
        assert_eq!(config.backlog, 5);
        assert_eq!(config.file_value("max_body"), Some(16_u64));
        let env = config.file_value::<BTreeMap<String, String>>("env");
        assert_eq!(env.unwrap()["A"], "1");
        assert_eq!(resolved("").unwrap().file_value::<u64>("max_body"), None);
        for (text, problem) in [
            (
                "\nmax_body = 'much'",
                "F:2: max_body: invalid type: string \"much\", expected u64",
            ),
            (
                "max_bodi = 1",
                "F:1: unknown key \"max_bodi\"; did you mean \"max_body\"?",
            ),
            (
                "env = { A = 1 }",
                "F:1: env: invalid type: integer `1`, expected a string",
            ),
        ] {
            assert_eq!(resolved(text).unwrap_err(), problem);
        }
        // The log is read before the program's keys are known.
        #[cfg(feature = "cli")]
        {
            fs::write(&file, "nonsense = 1\nlog_level = 'debug'").unwrap();
            let read = File::read(file.path(), None).unwrap();
            let level = read.program.get("log_level");
            assert_eq!(level, Some(&crate::settings::Value::Text("debug".into())));
        }
    }

    #[cfg(feature = "watch")]
    #[test]
    fn the_directories_of_the_file_are_watched() {
        let watched = |text: &str| applied(text).unwrap().watch;
        assert_eq!(
            watched("reload = true"),
            ["."].map(std::path::PathBuf::from)
        );
        let directories = ["a", "b"].map(std::path::PathBuf::from);
        assert_eq!(
            watched("reload_dir = ['a', 'b']\nreload = true"),
            directories
        );
        assert!(watched("reload = false").is_empty());
    }

    #[test]
    fn a_slip_is_recognised() {
        for (slip, meant) in [
            ("worker", Some("workers")),
            ("Bind", Some("bind")),
            ("graceful-timeout", Some("graceful_timeout")),
            ("gracefull_timout", Some("graceful_timeout")),
            ("max_header", Some("max_headers")),
            ("pid-files", Some("pid_file")),
            ("chdir", None),
            ("threads", None),
            ("", None),
        ] {
            assert_eq!(nearest(slip, &[]), meant, "{slip}");
        }
    }

    #[test]
    fn what_is_refused() {
        for (text, error) in [
            (
                "workers = 2\n\nworker = 3\nnonsense = 1",
                "F:3: unknown key \"worker\"; did you mean \"workers\"?",
            ),
            ("chdir = '/'", "F:1: unknown key \"chdir\""),
            (
                "\n[limits]\nmax_headers = 3",
                "F:2: unknown table \"limits\"; write its keys without a table",
            ),
            (
                "# shop\nworkers = true",
                "F:2: workers: expected a number or \"auto\"",
            ),
            (
                "workers = -1",
                "F:1: workers: expected a number or \"auto\"",
            ),
            (
                "backlog = 4294967296",
                "F:1: backlog: expected a whole number, 0 or more",
            ),
            (
                "max_headers = 1.5",
                "F:1: max_headers: expected a whole number, 0 or more",
            ),
            (
                "graceful_timeout = \"30 s\"",
                "F:1: graceful_timeout: expected a duration: seconds, or a number with ms, s, m or h, \
                 such as 500ms, 30s, 5m or 1h",
            ),
            (
                "max_rss = \"10KB\"",
                "F:1: max_rss: expected a size: bytes, or a whole number with K, M or G, such as 16K, \
                 10M or 2G",
            ),
            (
                "graceful_timeout = -1",
                "F:1: graceful_timeout: expected a duration: seconds, or a number with ms, s, m or h, \
                 such as 500ms, 30s, 5m or 1h",
            ),
            (
                "graceful_timeout = nan",
                "F:1: graceful_timeout: expected a duration: seconds, or a number with ms, s, m or h, \
                 such as 500ms, 30s, 5m or 1h",
            ),
            (
                "umask = 27",
                "F:1: umask: expected an octal number in quotes, such as \"027\"",
            ),
            (
                "control_socket = ''",
                "F:1: control_socket: expected a path; leave the key out for none",
            ),
            (
                "pid_file = 1979-05-27",
                "F:1: pid_file: expected a text in quotes",
            ),
            (
                "access_log_format = \"xml\"",
                "F:1: access_log_format: unknown value \"xml\"; choose common, combined or json",
            ),
            // The limits.
            (
                "\n\nmax_header_size = 100",
                "F:3: max_header_size is 100 bytes; choose a size from 8K to 16M",
            ),
            (
                "bind = [\n  '8000',\n  'nowhere',\n]",
                "F:3: cannot listen on \"nowhere\": \
                 expected HOST:PORT, [IPV6]:PORT, :PORT, PORT, an IP address or unix:PATH",
            ),
        ] {
            assert_eq!(applied(text).unwrap_err(), error, "{text}");
        }
        for (text, start) in [
            ("workers = 1\nworkers = 2", "F:2: duplicate key"),
            ("workers = 1\nbind = '", "F:2: "),
            ("workers", "F:1: "),
        ] {
            let error = applied(text).unwrap_err();
            assert!(error.starts_with(start), "{text}: {error}");
            assert_eq!(error.lines().count(), 1, "{error}");
        }
    }

    #[test]
    fn a_line_is_named_while_its_setting_holds() {
        let file = tempfile::NamedTempFile::new().unwrap();
        fs::write(&file, "backlog = 5\nthread_workers = 5000\n").unwrap();
        let mut sources = ConfigSources::default();
        sources.change(|config| config.thread_workers = 3);
        sources.file(file.path().to_owned());
        let line = format!("{}:2: thread_workers is 5000", file.path().display());
        let error = sources.resolve("shop").unwrap_err();
        assert!(error.starts_with(&line), "{error}");

        sources.change(|config| config.thread_workers += 1);
        let error = sources.resolve("shop").unwrap_err();
        assert!(error.starts_with("shop: thread_workers is 5001"), "{error}");

        sources.change(|config| config.thread_workers = 4);
        let config = sources.resolve("shop").unwrap().config;
        assert_eq!((config.backlog, config.thread_workers), (5, 4));
        // The file is read each time.
        fs::write(&file, "backlog = 6").unwrap();
        assert_eq!(sources.resolve("shop").unwrap().config.backlog, 6);
        drop(file);
        let error = sources.resolve("shop").unwrap_err();
        assert!(error.starts_with("cannot read the configuration file "));
    }
}
