//! The command line of each server for asynchronous applications and WebSocket, as its manual recommends. One worker each.

use super::peers::Peers;
use crate::program::Program;

impl Peers<'_> {
    /// Ours, with room for 1000 sockets: by default a worker takes 900.
    pub(super) fn ours_with_events(&self) -> Program {
        self.ours(1, 10).with("--max-upgraded 1024")
    }

    /// The same, with a thread for each of this number of sockets.
    pub(super) fn ours_with_sockets(&self, sockets: usize) -> Program {
        self.ours_with_events()
            .with(&format!("--websocket-threads {sockets}"))
    }

    /// `interface` is `asginl` or `rsgi`.
    pub(super) fn granian_asynchronous(&self, interface: &str) -> Program {
        self.program(
            "Granian",
            "granian",
            &format!(
                "--interface {interface} --host 127.0.0.1 --port {{port}} --workers 1 --http 1 --log-level error"
            ),
            "With `asginl`, its ASGI without the lifespan protocol, or `rsgi`, its own interface, its other defaults are the best for it.",
        )
        .named(match interface {
            "rsgi" => "Granian, RSGI",
            _ => "Granian, ASGI",
        })
    }

    pub(super) fn weft_asgi(&self) -> Program {
        self.program(
            "weft",
            "weft",
            "--host 127.0.0.1 --port {port} --protocol asgi --no-lifespan --workers 1 --log-level error",
            "Its defaults; the applications have no lifespan.",
        )
        .named("weft, ASGI")
    }

    pub(super) fn uvicorn(&self) -> Program {
        self.program(
            "uvicorn",
            "uvicorn",
            "--host 127.0.0.1 --port {port} --lifespan off --no-access-log --log-level error",
            "With uvloop, httptools and websockets, which it takes by itself when they are installed.",
        )
    }

    /// With flask-sock.
    pub(super) fn gunicorn_gevent_flask_sock(&self) -> Program {
        self.gunicorn_gevent().with("--worker-connections 2000")
    }

    pub(super) fn gunicorn_gevent_websocket(&self) -> Program {
        self.program(
            "gunicorn, gevent-websocket",
            "gunicorn",
            "--bind 127.0.0.1:{port} --worker-class geventwebsocket.gunicorn.workers.GeventWebSocketWorker --workers 1 \
             --worker-connections 2000 --keep-alive 65 --no-control-socket --log-level error",
            "gevent-websocket has a worker class of its own; its limit of 1000 connections is too near to the row's.",
        )
    }
}
