//! The settings of one server: [`Config`].

use std::{collections::BTreeMap, path::PathBuf, sync::Arc, time::Duration};

use tower_serve::{AccessLog, AccessLogFormat, ForwardedFields, Http, HttpVersions, TrustedPeers};
#[cfg(feature = "tls")]
use tower_serve::{ClientAuth, Tls, TlsVersion};

use super::{ProgramConfig, Workers};
#[cfg(feature = "layers")]
use super::{StaticFiles, StaticNotFound, compressed_types, static_files};
#[cfg(feature = "tls")]
use crate::listener::Address;
use crate::settings::{Field, Kind, Value};
#[cfg(feature = "config-file")]
use crate::settings::{Overrides, Settings};

/// Where a server listens by default.
pub(super) const DEFAULT_ADDRESS: &str = "127.0.0.1:8000";

/// Worker processes of one server.
pub(crate) const MAX_WORKERS: usize = 1024;

/// The `Cache-Control` of a static file lasts for no longer.
#[cfg(feature = "layers")]
const YEAR: Duration = Duration::from_secs(365 * 24 * 60 * 60);

const MOMENT: Duration = Duration::from_millis(1);

/// No wait in this crate is longer, so that adding one to a point in time never overflows.
const LONGEST: Duration = Duration::from_secs(24 * 60 * 60);

/// More than what browsers ask of a site that they are to know in advance.
#[cfg(feature = "tls")]
const TWO_YEARS: Duration = Duration::from_secs(2 * 365 * 24 * 60 * 60);

crate::settings! {
    /// What can be set for one server.
    ///
    /// [`Server::configure`](crate::Server::configure) changes it, and
    /// [`WorkerContext::config`](crate::WorkerContext::config) shows it to the service. The settings of the whole program are in
    /// [`ProgramConfig`].
    #[derive(Clone, Debug)]
    #[non_exhaustive]
    pub struct Config: "Server", "TOWER_PREFORK_" {
        /// Address to listen on: HOST:PORT, \[IPV6\]:PORT, :PORT (IPv4 and IPv6), PORT (127.0.0.1), an IP address
        /// (port 8000) or unix:PATH. Port 0 takes a free one. Can be given several times; a list with commas in the
        /// environment
        ///
        /// See [`Server::bind`](crate::Server::bind) for the forms. Empty means `127.0.0.1:8000`. At most 64.
        pub bind: Vec<String> = Vec::new(), {
            kind: Kind::Names,
            short: Some('b'),
            value_name: Some("ADDRESS"),
            unset: DEFAULT_ADDRESS,
        };

        /// Worker processes: a number, or "auto" for one per core; 0 serves in one process, for debugging
        pub workers: Workers = Workers::Auto, {
            kind: Kind::NumberOrAuto(0..=MAX_WORKERS as u64),
            short: Some('w'),
        };

        /// Threads for blocking work in each worker; 0 for an application that runs on the event loop
        ///
        /// The service takes its pool's size from here. A worker that has this many requests running leaves new
        /// connections to its siblings while they are idle.
        ///
        /// 0 is for services that do not block: they run on the event loop alone, and the number of running requests
        /// does not show how busy a worker is.
        pub thread_workers: usize = 10, { kind: Kind::Number(0..=4096) };

        /// Connections that the kernel queues for each address until a worker accepts them
        ///
        /// The kernel lowers it to `net.core.somaxconn`; beyond it, clients retry.
        pub backlog: u32 = 2048, { kind: Kind::Number(1..=i32::MAX as u64) };

        /// Maximum number of open connections of a worker; at the limit it closes the one that is idle for longest,
        /// or stops accepting while none is
        ///
        /// The limit of open files (`RLIMIT_NOFILE`) lowers it.
        pub max_connections: usize = 1024, { kind: Kind::Number(1..=1 << 20) };

        /// Maximum time that a stop waits for running requests before it cuts them
        ///
        /// The same holds for a worker that is replaced.
        pub graceful_timeout: Duration = Duration::from_secs(30), {
            kind: Kind::Duration(Duration::ZERO..=LONGEST),
        };

        /// Maximum time until a worker has built its service
        ///
        /// A worker that takes longer is killed, and the start, or the reload, has failed.
        pub start_timeout: Duration = Duration::from_secs(60), {
            kind: Kind::Duration(MOMENT..=LONGEST),
        };

        /// Maximum time that the event loop of a worker may be stuck; then the worker is killed and replaced
        pub heartbeat_timeout: Duration = Duration::from_secs(30), {
            // Heartbeats come once a second.
            kind: Kind::Duration(Duration::from_secs(2)..=LONGEST),
            short: Some('t'),
        };

        /// Time for which a stop keeps serving, with the readiness path at 503, before it closes anything
        ///
        /// Meanwhile [`readiness_path`](Self::readiness_path) responds with 503, so that a load balancer sends new
        /// requests elsewhere, and no request that still comes is refused. Each response is the last of its
        /// connection, so that few connections are idle when they are closed: a proxy could be about to use one
        /// again.
        pub shutdown_delay: Duration = Duration::ZERO, {
            kind: Kind::Duration(Duration::ZERO..=LONGEST),
        };

        /// Path to which the server itself responds: 200 while it serves, 503 when it stops
        ///
        /// During the [`shutdown_delay`](Self::shutdown_delay) and the drain it is 503. The service is not called, so
        /// there is a response even when all threads are busy.
        ///
        /// For `GET` and `HEAD` of exactly this path; any other request is the service's. During a reload or an
        /// upgrade the response stays 200, as the server as a whole is ready. The access log and
        /// [`max_requests`](Self::max_requests) count it as any other request.
        pub readiness_path: Option<String> = None, {
            kind: Kind::Text,
            value_name: Some("PATH"),
            check: |path| match path {
                Value::Text(path) if path.starts_with('/') => Ok(()),
                _ => Err("choose a path that begins with \"/\"".into()),
            },
        };

        /// Number of requests after which a worker is replaced, up to a tenth less by chance; 0 is never
        ///
        /// Chance keeps all workers from being replaced at once.
        pub max_requests: u64 = 0, { kind: Kind::Number(0..=u64::MAX) };

        /// Time after which a worker is replaced, up to a tenth less by chance
        pub max_lifetime: Option<Duration> = None, {
            kind: Kind::Duration(Duration::from_secs(1)..=LONGEST),
            unset: "never",
        };

        /// Resident memory of a worker, such as 512M, above which it is replaced
        pub max_rss: Option<u64> = None, {
            kind: Kind::Size(1 << 20..=u64::MAX),
            unset: "never",
        };

        /// Address that redirects clients to HTTPS, on the port of the first TCP address
        ///
        /// In the forms of [`Server::bind`](crate::Server::bind), without Unix sockets. `GET` and `HEAD` get 301, other
        /// methods 308, each to the same host, path and query. The service is not called, and the
        /// [`readiness_path`](Self::readiness_path) responds as elsewhere.
        #[cfg(feature = "tls")]
        pub redirect_http: Option<String> = None, {
            kind: Kind::Text,
            value_name: Some("ADDRESS"),
            unset: "off",
            bare: Some(":80"),
            check: |address| match address {
                Value::Text(address) => match address.parse()? {
                    Address::Unix(_) => Err("choose an address of TCP".into()),
                    _ => Ok(()),
                },
                _ => Ok(()),
            },
        };

        /// Permissions of Unix sockets, in octal; the umask does not change them. With a user and a group the sockets belong
        /// to them
        ///
        /// The default lets the user and the group of the workers connect: see [`ProgramConfig::user`]. Sockets that
        /// the service manager has passed keep their permissions.
        pub socket_mode: u32 = 0o660, { kind: Kind::Mode };

        /// Time for which a browser may keep a static file without asking again; with a hash in its name, as
        /// Django's manifest storage writes it, it is a year
        ///
        /// As `Cache-Control: max-age`, in whole seconds. A name with a hash ends in a dot, 12 hexadecimal digits and
        /// the extension, such as `base.1f418065fc2c.css`; its file is also `immutable`.
        #[cfg(feature = "layers")]
        pub static_max_age: Duration = Duration::from_secs(60), {
            kind: Kind::Duration(Duration::ZERO..=YEAR),
        };

        /// What happens to a request under the path of static files for which there is no file
        #[cfg(feature = "layers")]
        pub static_not_found: StaticNotFound = StaticNotFound::Application, {
            kind: Kind::Choice(static_files::NOT_FOUND),
            value_name: Some("HOW"),
        };

        /// Compress responses with zstd, Brotli or gzip, as the client accepts
        ///
        /// Not compressed are: a response that has a `Content-Encoding` or a `Content-Range`, or
        /// `Cache-Control: no-transform`; one of another type than [`compress_types`](Self::compress_types), and never
        /// an event stream; one shorter than [`compress_min_size`](Self::compress_min_size); a static file, which
        /// may lie compressed beside its original instead. A strong `ETag` becomes a weak one. Each piece of a response
        /// is sent as soon as the service has produced it.
        ///
        /// The event loop compresses. At most 32 responses of a worker are compressed at once, which may take up to
        /// 6 MiB of memory each; further ones are sent as they are.
        #[cfg(feature = "layers")]
        pub compress: bool = false, { kind: Kind::Flag };

        /// Size below which a response is not compressed, if it is known in advance
        #[cfg(feature = "layers")]
        pub compress_min_size: u64 = 512, { kind: Kind::Size(0..=u64::MAX) };

        /// Proxies that are believed what they say of their clients in header fields: IP addresses, networks, "unix" for
        /// Unix sockets, "*" for all. Can be given several times; a list with commas in the environment
        ///
        /// The address, the scheme and the host of a request's client are then what the proxy says: see
        /// [`ConnectInfo`](crate::ConnectInfo). An empty list believes no one.
        pub forwarded_allow_ips: TrustedPeers = TrustedPeers::local(), {
            kind: Kind::Names,
            value_name: Some("ADDRESS"),
        };

        /// Which of their fields count: "for", "proto", "host", "port" and "prefix" of X-Forwarded-For and so on, or
        /// "forwarded" for Forwarded. Choose those that the proxy writes itself. Can be given several times; a list with
        /// commas in the environment
        pub forwarded_headers: ForwardedFields = ForwardedFields::default(), {
            kind: Kind::Names,
            value_name: Some("FIELD"),
        };

        /// Expect the PROXY protocol, version 1 or 2, at the beginning of each connection, before TLS
        ///
        /// It names the client's address where a proxy passes bytes on without looking at them. A connection that does not
        /// begin with it is closed and logged.
        pub proxy_protocol: bool = false, {};

        /// Proxies that may speak the PROXY protocol; connections of others are closed. As for "forwarded-allow-ips"
        pub proxy_allow_ips: TrustedPeers = TrustedPeers::local(), {
            kind: Kind::Names,
            value_name: Some("ADDRESS"),
        };

        /// Give each request an identifier: in its field X-Request-ID, the access log and the response
        ///
        /// That of a trusted proxy is kept if it has 1 to 128 letters, digits and characters of `-_.:/+=@~`. Any other
        /// request gets a new one, a random UUID.
        pub request_id: bool = false, { kind: Kind::Flag };
    }
    fields {
        /// Directories of files that the server itself serves, without the service. Default: none.
        ///
        /// For `GET` and `HEAD`; other requests are the service's. See [`StaticFiles`].
        #[cfg(feature = "layers")]
        pub static_files: Vec<StaticFiles> = Vec::new();
        /// The content types that [`compress`](Self::compress) compresses: `TYPE/SUBTYPE` or `TYPE/*`. Default:
        /// `text/*` and the usual forms of text among the others.
        #[cfg(feature = "layers")]
        pub compress_types: Vec<String> = compressed_types::defaults();
        /// Directories whose files are watched: when one changes, the workers are replaced, as by
        /// `SIGHUP`. For development. Default: none, and nothing is watched.
        ///
        /// The program itself is watched, too. What editors, builds and a running program write is
        /// left out: hidden files and directories, `__pycache__`, `node_modules`, `target`, `*.pyc`,
        /// backups, logs and SQLite databases.
        ///
        /// New code should serve soon, so a worker that was replaced closes its idle connections at
        /// once, and the next change ends it even if it still has requests.
        #[cfg(feature = "watch")]
        pub watch: Vec<PathBuf> = Vec::new();
        /// The certificates with which all TCP addresses of the server speak HTTPS. Default: none, HTTP. Unix sockets
        /// are never encrypted.
        #[cfg(feature = "tls")]
        pub tls: Option<Tls> = None;
        /// The file to which the requests are logged. Default: none.
        pub access_log: Option<AccessLog> = None;
        /// Limits of the HTTP connections.
        pub http: Http = Http::default();
        /// The format of an access log that there is not yet.
        pub(crate) access_log_format: Option<AccessLogFormat> = None;
        /// The settings of the program, as its workers need them: those of the log.
        pub(crate) program: Arc<ProgramConfig> = Arc::default();
        /// The values that the file has for keys of the program's own.
        pub(crate) own: BTreeMap<String, serde_json::Value> = BTreeMap::new();
    }
    also {
        /// Directory of files that the server itself serves under a path, such as /static=static. Can be given several
        /// times; a list with commas in the environment
        #[cfg(feature = "layers")]
        static at static_files, {
            kind: Kind::Names,
            value_name: Some("PATH=DIRECTORY"),
            check: static_files::check,
        };

        /// Content type to compress, such as text/html or text/*, instead of the usual ones. Can be given several
        /// times; a list with commas in the environment
        #[cfg(feature = "layers")]
        compress_types, {
            kind: Kind::Names,
            value_name: Some("TYPE"),
            unset: "text/* and other forms of text",
            check: compressed_types::check,
            get: |config| {
                let is_default = config.compress_types == compressed_types::defaults();
                config.compress_types.to_value().filter(|_| !is_default)
            },
            set: |config, types| {
                config.compress_types = Vec::from_value(types)?;
                Ok(())
            },
        };

        /// PEM file with a certificate chain, or directory with certificates and keys; enables HTTPS on TCP addresses. Read
        /// again when it changes. Can be given several times, for several names; a list with commas in the environment
        #[cfg(feature = "tls")]
        tls_certificate, {
            kind: Kind::Paths,
            value_name: Some("FILE"),
            get: |config| config.tls.as_ref()?.certificates.to_value(),
            set: |config, paths| {
                config.tls_or_empty().certificates = Vec::from_value(paths)?;
                Ok(())
            },
        };

        /// PEM file with the private key of the certificate at the same place. Can be given several times; a list with commas
        /// in the environment
        #[cfg(feature = "tls")]
        tls_key, {
            kind: Kind::Paths,
            value_name: Some("FILE"),
            get: |config| config.tls.as_ref()?.keys.to_value(),
            set: |config, paths| {
                config.tls_or_empty().keys = Vec::from_value(paths)?;
                Ok(())
            },
        };

        /// File whose first line is the password of the keys that are encrypted
        #[cfg(feature = "tls")]
        tls_key_password_file, {
            kind: Kind::Path,
            value_name: Some("FILE"),
            get: |config| config.tls.as_ref()?.key_password_file.to_value(),
            set: |config, path| {
                config.tls_or_empty().key_password_file = Some(PathBuf::from_value(path)?);
                Ok(())
            },
        };

        /// PEM file with the certificates that issue those of clients; clients are asked for one
        #[cfg(feature = "tls")]
        tls_client_ca, {
            kind: Kind::Path,
            value_name: Some("FILE"),
            get: |config| config.tls.as_ref()?.client_ca.to_value(),
            set: |config, path| {
                config.tls_or_empty().client_ca = Some(PathBuf::from_value(path)?);
                Ok(())
            },
        };

        /// Whether a client must have a certificate of tls_client_ca
        #[cfg(feature = "tls")]
        tls_client_auth, {
            kind: Kind::Choice(CLIENT_AUTH),
            value_name: Some("HOW"),
            unset: "required",
            get: |config| config.tls.as_ref()?.client_auth.to_value(),
            set: |config, auth| {
                config.tls_or_empty().client_auth = ClientAuth::from_value(auth)?;
                Ok(())
            },
        };

        /// Oldest version of TLS that a client may have
        #[cfg(feature = "tls")]
        tls_min_version, {
            kind: Kind::Choice(TLS_VERSIONS),
            value_name: Some("VERSION"),
            unset: "1.2",
            get: |config| config.tls.as_ref()?.min_version.to_value(),
            set: |config, version| {
                config.tls_or_empty().min_version = TlsVersion::from_value(version)?;
                Ok(())
            },
        };

        /// Time for which browsers use HTTPS only, sent with each response over HTTPS that does not say so itself
        /// (Strict-Transport-Security)
        #[cfg(feature = "tls")]
        hsts, {
            kind: Kind::Duration(Duration::ZERO..=TWO_YEARS),
            unset: "off",
            get: |config| config.tls.as_ref()?.hsts.to_value(),
            set: |config, time| {
                config.tls_or_empty().hsts = Some(Duration::from_value(time)?);
                Ok(())
            },
        };

        /// Maximum time until the application starts its response; the client then gets 504
        request_timeout at http.request_timeout, { kind: Kind::Duration(MOMENT..=LONGEST) };

        /// Maximum time for a whole request head, from its first byte
        header_timeout at http.header_timeout, { kind: Kind::Duration(MOMENT..=LONGEST) };

        /// Maximum time that an idle connection stays open
        keep_alive_timeout at http.keep_alive_timeout, { kind: Kind::Duration(MOMENT..=LONGEST) };

        /// Maximum time between two reads of a request body
        body_timeout at http.body_timeout, { kind: Kind::Duration(MOMENT..=LONGEST) };

        /// Maximum time that a client may read nothing of its response
        write_timeout at http.write_timeout, { kind: Kind::Duration(MOMENT..=LONGEST) };

        /// Maximum number of upgraded connections of a worker, such as WebSockets; further ones get 503. They count
        /// among the connections, and are never closed for new ones
        max_upgraded at http.max_upgraded, { kind: Kind::Number(0..=1 << 20) };

        /// Maximum time that the client of an upgraded connection may be silent; that of a WebSocket gets a ping after
        /// half of it
        upgrade_idle_timeout at http.upgrade_idle_timeout, {
            kind: Kind::Duration(MOMENT..=LONGEST),
        };

        /// Maximum number of header fields of a request
        max_headers at http.max_headers, { kind: Kind::Number(1..=10_000) };

        /// Maximum size of a request head
        max_header_size at http.max_header_size, {
            // hyper's read buffer is never smaller.
            kind: Kind::Size(8 << 10..=16 << 20),
        };

        /// Versions of HTTP that clients may use: HTTP/1.1, HTTP/2, or both
        http at http.versions, { kind: Kind::Choice(HTTP_VERSIONS) };

        /// Maximum number of requests that one HTTP/2 connection may have open at a time
        max_concurrent_streams at http.max_concurrent_streams, { kind: Kind::Number(1..=10_000) };

        /// Replace the workers when a file in the current directory changes, for development
        #[cfg(feature = "watch")]
        reload, {
            unset: "off",
            get: |config| Some(Value::Flag(true)).filter(|_| !config.watch.is_empty()),
            set: |config, flag| {
                config.watch = match bool::from_value(flag)? {
                    true => vec![".".into()],
                    false => Vec::new(),
                };
                Ok(())
            },
        };

        /// Directory to watch for the same, instead of the current one. Can be given several times; a list with
        /// commas in the environment
        #[cfg(feature = "watch")]
        reload_dir at watch, {
            kind: Kind::Paths,
            value_name: Some("DIRECTORY"),
            unset: "the current directory",
        };

        /// File for the access log, a line for each request. It is created again after it was renamed; "-" is
        /// standard output
        access_log, {
            kind: Kind::Path,
            value_name: Some("FILE"),
            unset: "no access log",
            get: |config| path_value(&config.access_log.as_ref()?.path),
            set: |config, path| {
                let before = config.access_log.take().map(|log| log.format);
                let format = config.access_log_format.or(before).unwrap_or_default();
                let log = AccessLog::new(PathBuf::from_value(path)?);
                config.access_log = Some(log.format(format));
                Ok(())
            },
        };

        /// Format of the access log: those of Apache, or one JSON object a line
        access_log_format, {
            kind: Kind::Choice(ACCESS_LOG_FORMATS),
            unset: "combined",
            // That of a log which is set later is kept apart.
            get: |config| match &config.access_log {
                Some(log) => log.format.to_value(),
                None => config.access_log_format.to_value(),
            },
            set: |config, format| {
                let format = AccessLogFormat::from_value(format)?;
                config.access_log_format = Some(format);
                if let Some(log) = &mut config.access_log {
                    log.format = format;
                }
                Ok(())
            },
        };
    }
}

/// The formats of the access log, by their names.
const ACCESS_LOG_FORMATS: &[(&str, &str)] = &[
    ("common", "Apache's common log format"),
    (
        "combined",
        "The common format, the referrer and the user agent",
    ),
    ("json", "One JSON object a line"),
];

/// Whether clients must have certificates.
#[cfg(feature = "tls")]
const CLIENT_AUTH: &[(&str, &str)] = &[
    ("required", "The handshake of a client without one fails"),
    ("optional", "A client without one is served as well"),
];

/// The versions of TLS, by their numbers.
#[cfg(feature = "tls")]
const TLS_VERSIONS: &[(&str, &str)] = &[("1.2", "TLS 1.2 and later"), ("1.3", "TLS 1.3 and later")];

#[cfg(feature = "tls")]
impl Field for ClientAuth {
    fn from_value(value: Value) -> Result<Self, String> {
        Ok(match String::from_value(value)?.as_str() {
            "optional" => Self::Optional,
            _ => Self::Required,
        })
    }

    fn to_value(&self) -> Option<Value> {
        let name = match self {
            Self::Optional => "optional",
            _ => "required",
        };
        Some(Value::Text(name.into()))
    }
}

#[cfg(feature = "tls")]
impl Field for TlsVersion {
    fn from_value(value: Value) -> Result<Self, String> {
        Ok(match String::from_value(value)?.as_str() {
            "1.3" => Self::Tls13,
            _ => Self::Tls12,
        })
    }

    fn to_value(&self) -> Option<Value> {
        let number = match self {
            Self::Tls13 => "1.3",
            _ => "1.2",
        };
        Some(Value::Text(number.into()))
    }
}

impl Field for AccessLogFormat {
    fn from_value(value: Value) -> Result<Self, String> {
        Ok(match String::from_value(value)?.as_str() {
            "common" => Self::Common,
            "json" => Self::Json,
            _ => Self::Combined,
        })
    }

    fn to_value(&self) -> Option<Value> {
        let name = match self {
            Self::Common => "common",
            Self::Combined => "combined",
            Self::Json => "json",
        };
        Some(Value::Text(name.into()))
    }
}

/// The versions of HTTP, by their names.
const HTTP_VERSIONS: &[(&str, &str)] = &[
    (
        "auto",
        "HTTP/2 with clients that choose it by ALPN or begin with it, HTTP/1.1 with others",
    ),
    ("1", "HTTP/1.1 and HTTP/1.0"),
    ("2", "HTTP/2; requests of HTTP/1.1 get 505"),
];

impl Field for HttpVersions {
    fn from_value(value: Value) -> Result<Self, String> {
        Ok(match String::from_value(value)?.as_str() {
            "1" => Self::Http1,
            "2" => Self::Http2,
            _ => Self::Auto,
        })
    }

    fn to_value(&self) -> Option<Value> {
        let name = match self {
            Self::Auto => "auto",
            Self::Http1 => "1",
            Self::Http2 => "2",
        };
        Some(Value::Text(name.into()))
    }
}

/// A path, unless it is empty.
fn path_value(path: &PathBuf) -> Option<Value> {
    path.to_value().filter(|_| !path.as_os_str().is_empty())
}

impl Config {
    /// What the configuration file says for a [key of the program's own](crate::Server::file_key), if it
    /// says anything.
    #[cfg(feature = "config-file")]
    #[must_use]
    pub fn file_value<T: serde::de::DeserializeOwned>(&self, name: &str) -> Option<T> {
        // It was checked when the file was read.
        T::deserialize(self.own.get(name)?).ok()
    }

    /// What the configuration file says for the [settings of the program's own](crate::Server::file_settings).
    #[cfg(feature = "config-file")]
    #[must_use]
    pub fn file_settings<S: Settings>(&self) -> Overrides<S> {
        let mut overrides = Overrides::default();
        for setting in S::TABLE {
            let value = self.own.get(setting.name);
            if let Some(value) = value.and_then(|value| super::wire::decode(setting, value)) {
                overrides.insert(setting, value);
            }
        }
        overrides
    }

    /// Directories whose files are watched.
    pub(crate) fn watched(&self) -> &[PathBuf] {
        #[cfg(feature = "watch")]
        let Self { watch, .. } = self;
        #[cfg(not(feature = "watch"))]
        let (Self { .. }, watch) = (self, &[]);
        watch
    }

    /// Whether TCP connections are encrypted.
    pub(crate) fn is_encrypted(&self) -> bool {
        #[cfg(feature = "tls")]
        let Self { tls, .. } = self;
        #[cfg(not(feature = "tls"))]
        let (Self { .. }, tls) = (self, None::<()>);
        tls.is_some()
    }

    /// Where clients are redirected to HTTPS.
    pub(super) fn redirect(&self) -> Result<Option<crate::listener::Address>, String> {
        #[cfg(feature = "tls")]
        let Self { redirect_http, .. } = self;
        #[cfg(not(feature = "tls"))]
        let (Self { .. }, redirect_http) = (self, None::<String>);
        redirect_http.as_ref().map(|text| text.parse()).transpose()
    }

    #[cfg(feature = "tls")]
    fn tls_or_empty(&mut self) -> &mut Tls {
        self.tls.get_or_insert_with(Tls::without_files)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{ProgramConfig, settings::Settings};

    /// The fields of `Http` are declared in another crate.
    #[test]
    fn every_limit_of_http_is_a_setting() {
        let fields = format!("{:#?}", Http::default());
        let fields = fields.lines().filter_map(|line| line.split_once(':'));
        let fields: Vec<_> = fields.map(|(name, _)| name.trim()).collect();
        assert!(fields.contains(&"max_headers"), "{fields:?}");
        for name in fields {
            let name = if name == "versions" { "http" } else { name };
            assert!(Config::find(name).is_some(), "{name}");
        }
    }

    #[test]
    fn a_name_belongs_to_one_setting() {
        let names = Config::TABLE.iter().map(|setting| setting.name);
        let mut names: Vec<_> = names
            .chain(ProgramConfig::TABLE.iter().map(|setting| setting.name))
            .collect();
        names.sort_unstable();
        let count = names.len();
        names.dedup();
        assert_eq!(names.len(), count);
    }
}
