use tower_layer::Layer;

use super::{Blocking, BlockingPool};

/// Runs the service below on the threads of a pool. See the [module docs](super).
#[derive(Clone, Debug)]
#[must_use]
pub struct BlockingLayer {
    pool: BlockingPool,
}

impl BlockingLayer {
    /// A layer whose services run on `pool`, which other layers may share.
    pub fn new(pool: &BlockingPool) -> Self {
        Self { pool: pool.clone() }
    }
}

impl<S> Layer<S> for BlockingLayer {
    type Service = Blocking<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Blocking {
            inner,
            pool: self.pool.clone(),
        }
    }
}
