//! Whether a request may be upgraded, and what is kept of it for the time after its response 101.

use std::{any::Any, sync::Arc};

use http::{HeaderMap, Request, Response, header};
use http_body::Body;
use hyper::upgrade::OnUpgrade;

use super::super::{load::UpgradePermit, refusal::Refusal, shared::Shared};
use crate::access_log::{Client, UpgradeLine};

/// hyper's HTTP/2 is not behind it.
const H2C: &str = "h2c";

const WEBSOCKET: &str = "websocket";

/// What a request that may be upgraded holds until its response.
#[derive(Debug)]
pub(in crate::connection) struct UpgradeOffer {
    permit: UpgradePermit,
    line: Option<UpgradeLine>,
}

/// A connection that is about to be upgraded, or is: what its request has left.
#[derive(Debug)]
pub(in crate::connection) struct Upgrade {
    pub(super) permit: UpgradePermit,
    pub(super) line: Option<UpgradeLine>,
    is_websocket: bool,
    /// hyper's connection can be upgraded, so that the response may be written.
    pub(in crate::connection) is_prepared: bool,
    /// An [`UpgradedSocket`](super::socket::UpgradedSocket), once hyper writes the response.
    pub(super) socket: Option<Arc<dyn Any + Send + Sync>>,
}

impl UpgradeOffer {
    /// Decides on the offer that hyper has put into the request's extensions, which is there if the request has an `Upgrade`
    /// field. `None` if there is none, or if it is ignored: without `Connection: upgrade` (RFC 9110 section 7.8), for `h2c`
    /// alone, and for a request with a body. The service does not see one that is ignored.
    pub(in crate::connection) fn of_request<B: Body>(
        request: &mut Request<B>,
        shared: &Shared,
        log: Option<&Client>,
    ) -> Result<Option<Box<Self>>, Refusal> {
        if request.extensions().get::<OnUpgrade>().is_none() {
            return Ok(None);
        }
        let headers = request.headers();
        let asked = has_token(headers, &header::CONNECTION, |option| {
            option.eq_ignore_ascii_case("upgrade")
        }) && has_token(headers, &header::UPGRADE, |protocol| {
            !protocol.eq_ignore_ascii_case(H2C)
        });
        if !asked || !request.body().is_end_stream() {
            Self::ignore(request);
            return Ok(None);
        }
        let permit = shared.load.try_upgrade(shared.http.max_upgraded);
        let permit = permit.ok_or(Refusal::TooManyUpgraded)?;
        let line = log.map(|log| log.upgrade(request));
        Ok(Some(Box::new(Self { permit, line })))
    }

    /// Takes the offer away from the service.
    pub(in crate::connection) fn ignore<B>(request: &mut Request<B>) {
        request.extensions_mut().remove::<OnUpgrade>();
    }

    /// The service has accepted it.
    pub(in crate::connection) fn accepted<B>(self, response: &Response<B>) -> Upgrade {
        let is_websocket = has_token(response.headers(), &header::UPGRADE, |protocol| {
            protocol.eq_ignore_ascii_case(WEBSOCKET)
        });
        Upgrade {
            permit: self.permit,
            line: self.line,
            is_websocket,
            is_prepared: false,
            socket: None,
        }
    }
}

impl Upgrade {
    /// hyper writes the response to this socket. Whether the protocol is WebSocket.
    pub(in crate::connection) fn set_socket(&mut self, socket: Arc<dyn Any + Send + Sync>) -> bool {
        self.socket = Some(socket);
        self.is_websocket
    }
}

/// Whether one of the elements of a list field is such a one.
fn has_token(headers: &HeaderMap, name: &header::HeaderName, is: impl Fn(&str) -> bool) -> bool {
    let values = headers.get_all(name).into_iter();
    let mut tokens = values
        .filter_map(|value| value.to_str().ok())
        .flat_map(|value| value.split(','))
        .map(str::trim);
    tokens.any(|token| !token.is_empty() && is(token))
}
