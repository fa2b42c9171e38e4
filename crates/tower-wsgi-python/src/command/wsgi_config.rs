//! The settings of the WSGI part of a server.

use tower_prefork::settings::Kind;

/// A size without a limit.
const ANY_SIZE: Kind = Kind::Size(0..=u64::MAX);

/// The maximum number of greenlets of a worker. Each has a stack, and may have a connection to a database.
const MAX_GREENLETS: u64 = 10_000;

tower_prefork::settings! {
    /// The settings of the WSGI part of a server.
    #[derive(Clone, Debug)]
    pub(super) struct WsgiConfig: "WSGI", "TOWER_WSGI_" {
        /// Path at which the application is mounted: its `SCRIPT_NAME`
        pub(super) script_name: String = String::new(), {
            kind: Kind::Text,
            value_name: Some("PATH"),
        };

        /// Number of threads for WebSocket connections, of which flask-sock and its like hold one each
        ///
        /// The response to a WebSocket request beyond it is 503. They are started on demand, and take no threads from other
        /// requests. With 0, WebSocket requests are requests like any other: so it has to be, beside `thread_workers` of 0
        /// or 1, for an application that two threads must not call at once.
        pub(super) websocket_threads: usize = 100, {
            kind: Kind::Number(0..=4096),
        };

        /// Maximum size of a request body; the response to a larger one is 413
        pub(super) max_body: u64 = 1 << 30, { kind: ANY_SIZE };

        /// Maximum size of the temporary files of all responses of a worker; at the limit, threads wait for their
        /// clients
        pub(super) max_spooled: usize = 1 << 30, { kind: ANY_SIZE };

        /// Maximum size of the temporary file of one response; at the limit, its thread waits for the client
        pub(super) max_spooled_response: usize = 64 << 20, {
            kind: ANY_SIZE,
        };

        /// Maximum size of the temporary files of all request bodies of a worker; at the limit, the response to a
        /// large request is 503
        pub(super) max_spooled_bodies: usize = 4 << 30, { kind: ANY_SIZE };

        /// Number of greenlets of each worker that call the application, in place of threads; 100 if the option is
        /// given without a number, 0 for threads. Needs gevent, the extra `tower-wsgi[greenlet]`
        ///
        /// They run on one thread. gevent's monkey patching comes before the application is imported.
        pub(super) greenlet: usize = 0, {
            kind: Kind::Number(0..=MAX_GREENLETS),
            bare: Some("100"),
        };

        /// Follow PEP 3333 exactly: hop-by-hop header fields, header fields that are not a list of tuples, and a
        /// status without a reason are errors
        pub(super) strict: bool = false, { kind: Kind::Flag };
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn the_documentation_has_the_settings() {
        let docs = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/settings.md");
        tower_prefork::settings::check_markdown::<WsgiConfig>(&docs, "WsgiConfig");
    }
}
