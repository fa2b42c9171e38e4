use http::{Method, Request, uri::PathAndQuery};
use tower_server_info::{ClientInput, ConnectInfo};

/// Which request a job is for.
#[derive(Clone, Debug, Default)]
pub struct Label {
    pub(super) method: Method,
    target: Option<PathAndQuery>,
    /// If the server tells of it.
    client: Option<ClientInput>,
}

impl Label {
    /// Copies no text.
    pub fn of<B>(request: &Request<B>) -> Self {
        let connection = request.extensions().get::<ConnectInfo>();
        Self {
            method: request.method().clone(),
            target: request.uri().path_and_query().cloned(),
            client: connection.map(|connection| connection.input().clone()),
        }
    }

    /// Whether the client may be gone: it has closed its sending side.
    pub(super) fn may_be_left(&self) -> bool {
        self.client.as_ref().is_some_and(ClientInput::is_closed)
    }

    /// Whether it can be known that the client has closed its sending side.
    pub(super) fn knows_client(&self) -> bool {
        self.client.is_some()
    }

    pub(super) fn path(&self) -> &str {
        self.target.as_ref().map_or("", PathAndQuery::path)
    }
}
