//! WebSocket for WSGI applications.
//!
//! A `GET` with `Upgrade: websocket` whose server can upgrade its connection is a WebSocket request. It runs on a pool of
//! its own, so that open sockets never hold the threads of other requests, and carries an [`UpgradeOffer`]: what the
//! application finds in its environ takes the upgrade from there, at most once. An application that takes nothing
//! responds as to any request.
//!
//! | module | what it does |
//! |---|---|
//! | `service` | recognises WebSocket requests, and limits how many sockets are open |
//! | `offer` | the upgrade, and who has taken it |
//! | `future` | the response: `101` as soon as the upgrade is taken, otherwise what the application returns |
//! | `socket` | `gunicorn.socket`, for libraries that speak WebSocket over a socket |
//! | `relay` | the bytes between that socket and the client |
//! | `handshake` | the `101` that such a library writes |
//! | `events` | `tower_wsgi.websocket`, for handlers that are called for each message |

mod events;
mod future;
mod handshake;
mod offer;
mod relay;
mod service;
mod socket;

pub(crate) use self::{
    events::{Dispatcher, Runner, WebSocketUpgrade},
    future::WebSocketFuture,
    offer::{Outcome, UpgradeOffer},
    service::{WebSockets, offer_upgrade},
    socket::{ApplicationSocket, is_end_of_socket},
};
