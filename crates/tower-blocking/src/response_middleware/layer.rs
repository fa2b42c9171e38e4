use tower_layer::Layer;

use super::{EditResponse, ResponseMiddleware, list::List};

/// Edits the responses of the service below. See the [module docs](super).
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct ResponseMiddlewareLayer {
    middleware: List,
}

impl ResponseMiddlewareLayer {
    /// A layer without middleware, which changes nothing.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a middleware. It runs after the ones added before.
    pub fn with(mut self, middleware: impl ResponseMiddleware) -> Self {
        self.middleware.push(middleware);
        self
    }
}

impl<S> Layer<S> for ResponseMiddlewareLayer {
    type Service = EditResponse<S>;

    fn layer(&self, inner: S) -> Self::Service {
        EditResponse {
            inner,
            middleware: self.middleware.clone(),
        }
    }
}
