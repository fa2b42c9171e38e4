//! The log line and the response of a request whose application has failed before its first piece.

use std::{error::Error, io};

use http::{Method, Response, request::Parts, uri::PathAndQuery};
use tower_blocking::internal::application_failed;

use super::shared_response::SharedResponse;
use crate::Body;

/// What the log line says of a request.
pub(super) struct FailedRequest {
    method: Method,
    target: Option<PathAndQuery>,
}

impl FailedRequest {
    /// Copies no text.
    pub(super) fn new(parts: &Parts) -> Self {
        Self {
            method: parts.method.clone(),
            target: parts.uri.path_and_query().cloned(),
        }
    }

    /// Logs the error, and responds with 500.
    pub(super) fn fail(
        &self,
        response: &SharedResponse,
        error: &(dyn Error + 'static),
    ) -> Response<Body> {
        if response.is_client_gone() && is_broken_pipe(error) {
            tracing::debug!(error, "a response body was not sent to its end");
        } else {
            tracing::error!(
                error,
                method = %self.method,
                path = self.target.as_ref().map_or("", PathAndQuery::path),
                "the application failed",
            );
        }
        application_failed()
    }
}

fn is_broken_pipe(error: &(dyn Error + 'static)) -> bool {
    let own = error.downcast_ref().map(io::Error::kind);
    own == Some(io::ErrorKind::BrokenPipe) || error.source().is_some_and(is_broken_pipe)
}
