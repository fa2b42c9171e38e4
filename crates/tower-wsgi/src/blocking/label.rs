use http::{Method, Request, uri::PathAndQuery};

/// Which request a job is for.
#[derive(Clone, Debug, Default)]
pub(crate) struct Label {
    pub(super) method: Method,
    target: Option<PathAndQuery>,
}

impl Label {
    /// Copies no text.
    pub(crate) fn of<B>(request: &Request<B>) -> Self {
        Self {
            method: request.method().clone(),
            target: request.uri().path_and_query().cloned(),
        }
    }

    pub(super) fn path(&self) -> &str {
        self.target.as_ref().map_or("", PathAndQuery::path)
    }
}
