//! Upgrades: a connection that leaves HTTP with status 101, and what the server still does for it.
//!
//! ```text
//! request with Upgrade ── offer ──> service ── 101 ──> hyper ── Upgraded ──> service
//!                                                       │                       │ Transport
//!                                                  connection ── session ── UpgradedSocket ── client
//! ```
//!
//! | module | what it does |
//! |---|---|
//! | `offer` | whether a request may be upgraded; its permit and its line of the access log |
//! | `transport` | what hyper holds of a connection: its IO, or the service's half of an upgraded socket |
//! | `socket` | the socket, which the service uses directly, and the connection's task for what the server sends itself |
//! | `frames` | where a WebSocket frame ends in the bytes that the service sends, and the server's own frames |
//! | `session` | the connection's task: the idle timeout with a ping, the drain with a close frame, and the end |
//!
//! The service reads from the socket and writes to it without a copy and without another task. Beside it, the connection's
//! task may add a WebSocket control frame where a frame of the service ends: a ping to a silent client, and close frame 1001
//! (going away) when the server drains. After that close frame the server discards what the service sends; the client's
//! close frame reaches the service, which ends as at any close by the client.

mod frames;
mod offer;
mod session;
mod socket;
mod transport;

pub(super) use offer::{Upgrade, UpgradeOffer};
pub(super) use session::{UpgradeEnd, UpgradedConnection};
pub(super) use transport::Transport;
