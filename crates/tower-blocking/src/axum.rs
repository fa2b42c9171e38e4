//! What axum handlers need of this crate.

use axum_core::{
    body::Body,
    response::{IntoResponse, Response},
};

use crate::Rejection;

/// So that a handler can return `Result<_, Rejection>`, as `pool.run(…).await` is.
impl IntoResponse for Rejection {
    fn into_response(self) -> Response {
        Self::into_response(self).map(Body::new)
    }
}
