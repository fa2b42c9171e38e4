use std::{fmt, pin::Pin, sync::Arc};

use http::{Response, request::Parts};

use super::ResponseMiddleware;
use crate::Body;

/// Some middleware, in the order in which they run. Clones share them.
#[derive(Clone, Default)]
pub struct List(Arc<Vec<Arc<dyn Boxed>>>);

/// An edit that waits.
pub type Waiting<'a> = Pin<Box<dyn Future<Output = Response<Body>> + Send + 'a>>;

trait Boxed: Send + Sync {
    fn edit<'a>(&'a self, request: &'a Parts, response: Response<Body>) -> Waiting<'a>;

    fn edit_now(&self, request: &Parts, response: &mut Response<Body>) -> bool;
}

impl<M: ResponseMiddleware> Boxed for M {
    fn edit<'a>(&'a self, request: &'a Parts, response: Response<Body>) -> Waiting<'a> {
        Box::pin(ResponseMiddleware::edit(self, request, response))
    }

    fn edit_now(&self, request: &Parts, response: &mut Response<Body>) -> bool {
        ResponseMiddleware::edit_now(self, request, response)
    }
}

impl List {
    /// Adds one that runs after these.
    pub fn push(&mut self, middleware: impl ResponseMiddleware) {
        Arc::make_mut(&mut self.0).push(Arc::new(middleware));
    }

    /// What is to be done to the response to this request, if anything.
    pub fn edits(&self, request: &Parts) -> Option<Edits> {
        if self.0.is_empty() {
            return None;
        }
        Some(Edits(Box::new(Request {
            middleware: self.clone(),
            head: request.clone(),
        })))
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl fmt::Debug for List {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("List").field("len", &self.0.len()).finish()
    }
}

/// What is to be done to one response.
// Boxed: futures that hold it are moved.
pub struct Edits(Box<Request>);

struct Request {
    middleware: List,
    head: Parts,
}

/// A response that was edited, or will be.
#[allow(missing_debug_implementations, reason = "internal")]
pub enum Edited {
    /// It was edited at once.
    Now(Response<Body>),
    /// One of the middleware has to wait.
    Later(Waiting<'static>),
}

impl Edits {
    /// Runs them all.
    pub fn edit(self, mut response: Response<Body>) -> Edited {
        match self.edit_from(0, &mut response) {
            None => Edited::Now(response),
            Some(waits) => Edited::Later(Box::pin(self.wait(waits, response))),
        }
    }

    /// Goes on at this middleware.
    async fn wait(self, mut next: usize, mut response: Response<Body>) -> Response<Body> {
        let Request { middleware, head } = &*self.0;
        loop {
            response = middleware.0[next].edit(head, response).await;
            match self.edit_from(next + 1, &mut response) {
                None => return response,
                Some(waits) => next = waits,
            }
        }
    }

    /// Gives the middleware that it has come to, and that may have to wait, if there is one.
    fn edit_from(&self, first: usize, response: &mut Response<Body>) -> Option<usize> {
        let Request { middleware, head } = &*self.0;
        (first..middleware.0.len()).find(|&index| !middleware.0[index].edit_now(head, response))
    }
}

impl std::fmt::Debug for Edits {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Edits").finish_non_exhaustive()
    }
}
