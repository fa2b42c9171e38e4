//! Python WSGI applications, such as Flask and Django sites, as tower services.
//!
//! [`PythonApp`] loads an application and is a service: the fallback of an axum `Router` next to routes in Rust, for
//! example. The Python package `tower-wsgi`, with its command and its Django command, is built from this crate too.
//!
//! A request passes through the layers of [`tower_wsgi`]. It waits until its whole body has arrived (in memory, or in a
//! temporary file), then for one of `thread_workers` threads. That thread calls the application, iterates over the
//! response and closes it. The event loop never waits for Python. One thread at a time holds the interpreter's lock and
//! runs all requests that are queued; when the application blocks, another thread takes over.
//!
//! [`tower_wsgi::wsgi`] implements the requirements of PEP 3333 for servers.
//!
//! # Asynchronous applications
//!
//! An application that is an `async def` is called on the event loop of asyncio, on a Python thread of its own, without
//! the pool. What any other application returns is looked at in this order: an awaitable, an asynchronous iterable, an
//! iterable. The first two are left to that event loop, and the thread of the pool is free; an awaitable among the pieces
//! of an ordinary iterable is awaited there, while the thread of the pool waits for it. There is one event loop in a
//! process, made at the first need; it is uvloop's if that is installed. Each request has one task and one `contextvars`
//! context. `environ["pulsar.connection"]._loop` is the event loop, and the threads of the pool have it as their current
//! one.
//!
//! `write` never blocks on the event loop: when the client has not taken 64 KiB, it returns an awaitable that is done when
//! there is room. `wsgi.file_wrapper` reads its file there.
//!
//! # What the client sees
//!
//! | | |
//! |---|---|
//! | the application raises before the first piece of its body | `500`; the traceback is in `wsgi.errors`, a line in the log |
//! | it raises later, or its body is shorter than its `Content-Length` | a broken connection, never a clean end |
//! | the request body is larger than `max_body`, late or broken | `413`, `408` or `400`; the application is not called |
//! | the event loop of asyncio has 10 000 requests | `503` with `Retry-After` |
//! | all threads are busy, and 1024 requests are queued, or one for 30 seconds | `503` with `Retry-After` |
//! | an application has a `gunicorn.socket` open on each of its `websocket_threads` | `503` with `Retry-After` |
//! | a library writes another response than a `101` to `gunicorn.socket` | `500`; a line in the log |
//!
//! **If a client disconnects** while its request is queued, the application is not called; if it disconnects later, the
//! iteration ends at the next piece, and the iterable is closed. The task of an asynchronous response is cancelled, and
//! its `aclose` or `close` runs, on the event loop.
//!
//! **If the client of a WebSocket disconnects**, the application's socket ends: `recv` returns nothing, and a send raises
//! `BrokenPipeError`. When the application returns, its socket ends after a second at the latest.
//!
//! **At shutdown** running requests continue until the server's deadline. So do the other tasks of the event loop, under
//! the command; then they are cancelled. A task that ignores that is named in the log.
//!
//! **Code that holds up the event loop** of asyncio for a second is named in the log, with its stack.
//!
//! # Example
//!
//! ```no_run
//! use axum::{Router, routing::get};
//! use tower_wsgi_python::PythonApp;
//!
//! # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
//! let django = PythonApp::builder()
//!     .thread_workers(10)
//!     .load("mysite.wsgi:application")?;
//! let app: Router = Router::new()
//!     .route("/health", get(|| async { "ok" }))        // Rust, on the event loop
//!     .fallback_service(django);                       // everything else is Django's
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:8000").await?;
//! axum::serve(listener, app).await?;
//! # Ok(())
//! # }
//! ```

// A print panics if standard error is closed, and blocks if its pipe is full.
#![cfg_attr(not(test), deny(clippy::print_stderr, clippy::print_stdout))]
#![cfg_attr(docsrs, feature(doc_cfg))]

mod app;
mod attach;
mod callable;
mod chunks;
#[cfg(feature = "command")]
mod command;
mod environ;
mod environ_template;
mod event_loop;
mod exception;
mod executor;
mod file_wrapper;
mod gate;
mod greenlets;
mod header_fields;
mod load;
mod load_error;
mod native_string;
mod piece;
mod pool_threads;
mod pulsar_connection;
mod response_facts;
mod scheduling;
mod start_response;
mod validate;
mod websocket;

pub use self::{
    app::{PythonApp, PythonAppBuilder},
    executor::ResponseFuture,
    load_error::LoadError,
};

/// The examples of the README.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
mod readme {}
