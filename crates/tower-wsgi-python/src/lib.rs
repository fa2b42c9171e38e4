//! Python WSGI applications, Flask and Django for example, as tower services.
//!
//! [`PythonApp`] loads an application and is a service: the fallback of an axum `Router`, beside Rust
//! routes, in one process, or whatever else a service can be. The Python package `tower-wsgi`, its command
//! and its Django command are built from this crate, too.
//!
//! A request goes through the layers of [`tower_wsgi`]: it waits for its whole body (in memory, then in a
//! temporary file), then for one of `thread_workers` threads, on which the application is called, its
//! response iterated and closed. The event loop never waits for Python. One thread at a time holds the
//! interpreter's lock and takes as many requests as there are; when an application waits, the next thread
//! goes on.
//!
//! What PEP 3333 asks of a server is kept by [`tower_wsgi::wsgi`].
//!
//! # What the client sees
//!
//! | | |
//! |---|---|
//! | the application raises before the first piece of its body | `500`; the traceback is in `wsgi.errors`, a line in the log |
//! | it raises later, or gives less than its `Content-Length` | a broken connection, never a clean end |
//! | the body is over `max_body`, late or broken | `413`, `408` or `400`; the application is not called |
//! | all threads are busy, and 1024 requests wait, or one for 30 seconds | `503` with `Retry-After` |
//!
//! **A client that leaves** while its request waits is never seen by the application; one that leaves later
//! ends the iteration at the next piece, and the iterable is closed.
//!
//! **At shutdown** what runs goes on until the server's deadline.
//!
//! # Example
//!
//! ```no_run
//! use axum::{Router, routing::get};
//! use tower_wsgi_python::PythonApp;
//!
//! # async fn serve() -> Result<(), Box<dyn std::error::Error>> {
//! let django = PythonApp::load("mysite.wsgi:application")?.thread_workers(10);
//! let app: Router = Router::new()
//!     .route("/health", get(|| async { "ok" }))        // Rust, on the event loop
//!     .fallback_service(django);                       // everything else is Django's
//! let listener = tokio::net::TcpListener::bind("127.0.0.1:8000").await?;
//! axum::serve(listener, app).await?;
//! # Ok(())
//! # }
//! ```

// A print panics when standard error is gone, and waits when it is full.
#![cfg_attr(not(test), deny(clippy::print_stderr, clippy::print_stdout))]

mod app;
mod attached;
mod callable;
mod check;
mod chunks;
mod clients;
#[cfg(feature = "command")]
mod command;
mod connection;
mod environ;
mod failure;
mod fields;
mod file_wrapper;
mod future;
mod greenlets;
mod load;
mod near;
mod pool_threads;
mod scheduling;
mod stack;
mod start_response;
mod template;
mod text;
mod threads;

pub use self::{app::PythonApp, future::ResponseFuture, load::LoadError};
