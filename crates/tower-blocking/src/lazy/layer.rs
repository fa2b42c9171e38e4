use std::sync::Arc;

use tower_layer::Layer;

use super::{Lazy, build::Build};

/// Makes a [`Lazy`] service of a function that builds one. See the [module docs](super).
#[derive(Clone, Copy, Debug, Default)]
#[must_use]
pub struct LazyLayer {
    _priv: (),
}

impl LazyLayer {
    /// A layer over a function `Fn() -> impl Future<Output = Result<S, E>>`.
    pub const fn new() -> Self {
        Self { _priv: () }
    }
}

impl<F, Fut, S, E> Layer<F> for LazyLayer
where
    F: Fn() -> Fut + Clone,
    Fut: Future<Output = Result<S, E>>,
{
    type Service = Lazy<F, S>;

    fn layer(&self, make: F) -> Self::Service {
        Lazy {
            build: Arc::new(Build::new(make)),
        }
    }
}
