//! The command line of each server, as its manual recommends for the case.

use crate::{places::Places, program::Program};

/// The Python servers, around one application.
pub(super) struct Peers<'a> {
    pub(super) places: &'a Places,
    /// `MODULE:CALLABLE`.
    application: &'static str,
}

/// Ours in Rust: `case` is a word of `tower-server`.
pub(super) fn ours_in_rust(places: &Places, case: &str, count: usize) -> Program {
    let arguments = format!("{case} {count} {{port}}");
    let why = "The crates' own types, with their defaults.";
    Program::new(case, places.rust.join("tower-server"), &arguments, why)
}

/// Our server with the bare service.
pub(super) fn prefork(places: &Places, workers: usize) -> Program {
    let arguments = format!("{workers} {{port}}");
    let why = "The least program with `tower_prefork::Server`, as bare hyper's is.";
    let file = places.rust.join("prefork-server");
    Program::new("tower-prefork", file, &arguments, why)
}

pub(super) fn bare_hyper(places: &Places) -> Program {
    let why = "hyper's own example, with TCP_NODELAY and without a timer for the head.";
    Program::new(
        "bare hyper",
        places.rust.join("hyper-server"),
        "{port}",
        why,
    )
}

pub(super) fn axum(places: &Places, case: &str, threads: usize, why: &'static str) -> Program {
    let arguments = format!("{case} {threads} {{port}}");
    Program::new("axum", places.rust.join("axum-server"), &arguments, why)
}

impl<'a> Peers<'a> {
    pub(super) fn of(places: &'a Places, application: &'static str) -> Self {
        Self {
            places,
            application,
        }
    }

    pub(super) fn ours(&self, workers: usize, threads: usize) -> Program {
        let why = if threads == 0 {
            "Without threads the application runs on the event loop: for applications that never wait."
        } else {
            "As a user starts it."
        };
        self.program(
            "tower-wsgi",
            "tower-wsgi",
            &format!("--bind 127.0.0.1:{{port}} --workers {workers} --thread-workers {threads}"),
            why,
        )
    }

    pub(super) fn granian(&self, workers: usize, threads: usize) -> Program {
        self.program(
            "Granian",
            "granian",
            &format!(
                "--interface wsgi --host 127.0.0.1 --port {{port}} --workers {workers} --blocking-threads {threads} \
                 --runtime-mode st --runtime-threads 1 --http 1 --no-ws --log-level error"
            ),
            "Its benchmarks serve WSGI on the single-threaded runtime; HTTP/1 alone and no WebSockets spare it the choice.",
        )
    }

    /// `threads` is nothing for its default: the application on the thread of the event loop.
    pub(super) fn weft(&self, workers: usize, threads: Option<usize>) -> Program {
        let threads = threads.map_or(String::new(), |threads| format!("--wsgi-threads {threads}"));
        self.program(
            "weft",
            "weft",
            &format!(
                "--host 127.0.0.1 --port {{port}} --protocol wsgi --workers {workers} {threads} --log-level error"
            ),
            "Its default runs the application on the event loop; `--wsgi-threads` is for handlers that block. It has no access log by default.",
        )
    }

    /// `threads` is nothing for its default: the application on the thread of the event loop.
    pub(super) fn peregrine(&self, workers: usize, threads: Option<usize>) -> Program {
        let threads = threads.map_or(String::new(), |threads| format!("--wsgi-threads {threads}"));
        self.program(
            "peregrine",
            "peregrine",
            &format!(
                "--host 127.0.0.1 --port {{port}} --protocol wsgi --workers {workers} {threads} --log-level error"
            ),
            "Its default is one thread a worker; `--wsgi-threads` is for views that block. It has no access log by default.",
        )
    }

    /// fastpysgi, fastwsgi or bjoern.
    pub(super) fn on_the_loop(&self, name: &str) -> Program {
        let launch = format!("launch.py {name} {} {{port}}", self.application);
        let why = "One thread in C and no options that matter here: its `run`, as its documentation shows it.";
        Program::new(name, self.places.python.join("bin/python"), &launch, why)
    }

    /// Over `--http11-socket`.
    pub(super) fn uwsgi(&self, threads: usize) -> Program {
        self.uwsgi_with(
            "--http11-socket 127.0.0.1:{port}",
            threads,
            "`--http11-socket` is its fastest way to speak HTTP with keep-alive, but a connection holds a thread: it serves only as many connections as it has threads.",
        )
        .named("uWSGI, http11-socket")
    }

    /// Over `--http`.
    pub(super) fn uwsgi_router(&self, threads: usize) -> Program {
        self.uwsgi_with(
            "--http 127.0.0.1:{port} --http-keepalive",
            threads,
            "`--http` puts a process of its own before the worker, which keeps more connections open than there are threads.",
        )
        .named("uWSGI, http")
    }

    fn uwsgi_with(&self, address: &str, threads: usize, why: &'static str) -> Program {
        // With one thread, its manual leaves the support for threads off.
        let threads = match threads {
            1 => String::new(),
            threads => format!("--threads {threads}"),
        };
        let arguments = format!(
            "{address} --module {} --virtualenv {} --processes 1 {threads} --master --single-interpreter --need-app \
             --die-on-term --listen 1024 --disable-logging",
            self.application,
            self.places.python.display()
        );
        Program::new(
            "uWSGI",
            self.places.python.join("bin/uwsgi"),
            &arguments,
            why,
        )
    }

    pub(super) fn gunicorn(&self, workers: usize, threads: usize) -> Program {
        self.program(
            "gunicorn gthread",
            "gunicorn",
            &format!(
                "--bind 127.0.0.1:{{port}} --worker-class gthread --workers {workers} --threads {threads} \
                 --keep-alive 65 --no-control-socket --log-level error"
            ),
            "Its manual recommends threads for applications that wait; connections stay open as with the others.",
        )
    }

    pub(super) fn gunicorn_gevent(&self) -> Program {
        self.program(
            "gunicorn gevent",
            "gunicorn",
            "--bind 127.0.0.1:{port} --worker-class gevent --workers 1 --keep-alive 65 --no-control-socket --log-level error",
            "One greenlet for each connection: `time.sleep` is patched, so that waiting costs no thread.",
        )
    }

    pub(super) fn waitress(&self, threads: usize) -> Program {
        self.program(
            "waitress",
            "waitress-serve",
            &format!("--listen=127.0.0.1:{{port}} --threads={threads} --connection-limit=1000"),
            "Its default limit of 100 connections is too near to the load's.",
        )
    }

    pub(super) fn pyvoy(&self, threads: usize) -> Program {
        self.program(
            "pyvoy",
            "pyvoy",
            &format!(
                "--address 127.0.0.1 --port {{port}} --interface wsgi --worker-threads {threads}"
            ),
            "Envoy with the application in its process; the threads are those of the case.",
        )
    }

    pub(super) fn program(
        &self,
        name: &str,
        file: &str,
        arguments: &str,
        why: &'static str,
    ) -> Program {
        let path = self.places.python.join("bin").join(file);
        Program::new(name, path, arguments, why).with(self.application)
    }
}
