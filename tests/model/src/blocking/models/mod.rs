//! Few threads that use the pieces as the pool does, for a model checker to run.

pub mod pipe;
pub mod replies;
