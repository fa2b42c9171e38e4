//! The ordered list of middleware, and how they edit one response.

use std::{fmt, pin::Pin, sync::Arc};

use http::{Response, request::Parts};

use super::ResponseMiddleware;
use crate::Body;

/// Middleware in the order in which they run. Clones share them.
#[derive(Clone, Default)]
pub struct ResponseMiddlewareList(Arc<Vec<Arc<dyn DynMiddleware>>>);

/// The future of an edit.
pub type EditFuture<'a> = Pin<Box<dyn Future<Output = Response<Body>> + Send + 'a>>;

trait DynMiddleware: Send + Sync {
    fn edit<'a>(&'a self, request: &'a Parts, response: Response<Body>) -> EditFuture<'a>;

    fn edit_now(&self, request: &Parts, response: &mut Response<Body>) -> bool;
}

impl<M: ResponseMiddleware> DynMiddleware for M {
    fn edit<'a>(&'a self, request: &'a Parts, response: Response<Body>) -> EditFuture<'a> {
        Box::pin(ResponseMiddleware::edit(self, request, response))
    }

    fn edit_now(&self, request: &Parts, response: &mut Response<Body>) -> bool {
        ResponseMiddleware::edit_now(self, request, response)
    }
}

impl ResponseMiddlewareList {
    /// Adds one that runs after these.
    pub fn push(&mut self, middleware: impl ResponseMiddleware) {
        Arc::make_mut(&mut self.0).push(Arc::new(middleware));
    }

    /// The edits of the response to this request, if there is any middleware.
    pub fn edits(&self, request: &Parts) -> Option<ResponseEdits> {
        if self.0.is_empty() {
            return None;
        }
        Some(ResponseEdits(Box::new(EditContext {
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

impl fmt::Debug for ResponseMiddlewareList {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseMiddlewareList")
            .field("len", &self.0.len())
            .finish()
    }
}

/// The edits of one response.
// Boxed, since the futures that hold it are moved.
pub struct ResponseEdits(Box<EditContext>);

struct EditContext {
    middleware: ResponseMiddlewareList,
    head: Parts,
}

/// A response after its edits, or one whose edits are not done yet.
#[allow(missing_debug_implementations, reason = "internal")]
pub enum EditResult {
    /// All edits are done.
    Ready(Response<Body>),
    /// A middleware waits.
    Pending(EditFuture<'static>),
}

impl ResponseEdits {
    /// Runs the middleware until one waits.
    pub fn edit(self, mut response: Response<Body>) -> EditResult {
        match self.edit_from(0, &mut response) {
            None => EditResult::Ready(response),
            Some(pending) => EditResult::Pending(Box::pin(self.wait(pending, response))),
        }
    }

    /// Continues with this middleware.
    async fn wait(self, mut next: usize, mut response: Response<Body>) -> Response<Body> {
        let EditContext { middleware, head } = &*self.0;
        loop {
            response = middleware.0[next].edit(head, response).await;
            match self.edit_from(next + 1, &mut response) {
                None => return response,
                Some(pending) => next = pending,
            }
        }
    }

    /// Runs the middleware from `first` on. Returns the index of the one that may wait, if there is one.
    fn edit_from(&self, first: usize, response: &mut Response<Body>) -> Option<usize> {
        let EditContext { middleware, head } = &*self.0;
        (first..middleware.0.len()).find(|&index| !middleware.0[index].edit_now(head, response))
    }
}

impl fmt::Debug for ResponseEdits {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ResponseEdits").finish_non_exhaustive()
    }
}
