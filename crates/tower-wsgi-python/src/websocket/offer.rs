//! The upgrade that a WebSocket request offers, and who has taken it.

use std::{
    fmt, mem,
    os::unix::net::UnixStream,
    sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc},
};

use http::{Request, Response, uri::PathAndQuery};
use hyper::upgrade::OnUpgrade;
use pyo3::{intern, prelude::*};
use tokio::{runtime::Handle, sync::oneshot};
use tower_wsgi::Body;

use super::relay::{Verdict, relay};

/// The upgrade of a connection: a response, and the connection after it.
pub(crate) struct Upgrade {
    pub(super) on_upgrade: OnUpgrade,
    /// Where the response goes. It is closed when the client has left.
    pub(super) response: oneshot::Sender<Response<Body>>,
    /// The server's event loop.
    pub(super) runtime: Handle,
    /// For the log.
    pub(super) target: Option<PathAndQuery>,
}

/// What the response to a WebSocket request waits for, besides the application.
pub(crate) struct Handshake {
    /// The response of the upgrade. It is closed when the application has not taken that.
    pub(super) upgraded: oneshot::Receiver<Response<Body>>,
    pub(super) runtime: Handle,
}

/// The offer of an [`Upgrade`], in the extensions of a WebSocket request.
#[derive(Clone)]
pub(crate) struct UpgradeOffer(Arc<Mutex<OfferState>>);

/// ```text
///       take, open_socket
/// Open ───────────────────> Taken, Socket
///   └──────> Ended <──────────┘
///       end
/// ```
enum OfferState {
    Open(Upgrade),
    /// The application has its end of a socket pair; the relay has the other one, and the upgrade.
    Socket {
        /// The application's end, an object of Python.
        socket: Py<PyAny>,
        verdict: mpsc::Receiver<Verdict>,
        /// Closed when the application has returned.
        returned: oneshot::Sender<()>,
    },
    /// Something else has it. The application's response is the response to the upgrade.
    Taken,
    /// The application has returned.
    Ended,
}

/// What the application's call of a WebSocket request has led to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    /// What the application returned or raised is the response.
    Ordinary,
    /// The response was sent because of what the application wrote to its socket; what it returned is discarded.
    Responded,
}

impl UpgradeOffer {
    /// Puts an offer into the extensions of a request; `None` if the server cannot upgrade the connection.
    pub(super) fn insert<B>(request: &mut Request<B>) -> Option<Handshake> {
        // Outside of tokio there is nothing to run the relay on.
        let runtime = Handle::try_current().ok()?;
        let on_upgrade = request.extensions_mut().remove::<OnUpgrade>()?;
        let (response, upgraded) = oneshot::channel();
        let upgrade = Upgrade {
            on_upgrade,
            response,
            runtime: runtime.clone(),
            target: request.uri().path_and_query().cloned(),
        };
        let offer = Self(Arc::new(Mutex::new(OfferState::Open(upgrade))));
        request.extensions_mut().insert(offer);
        Some(Handshake { upgraded, runtime })
    }

    /// Whether the application can have a socket: the response to it is waited for.
    pub(crate) fn has_socket(&self) -> bool {
        match &*self.lock() {
            OfferState::Open(upgrade) => !upgrade.response.is_closed(),
            _ => false,
        }
    }

    /// Starts the relay between the client and a socket pair: `other` is the end that is not the application's `socket`.
    /// Returns `false` if the upgrade is not to be had any more.
    pub(super) fn open_socket(&self, socket: Py<PyAny>, other: UnixStream) -> bool {
        let mut state = self.lock();
        match mem::replace(&mut *state, OfferState::Ended) {
            OfferState::Open(upgrade) => {
                let (sender, verdict) = mpsc::sync_channel(1);
                let runtime = upgrade.runtime.clone();
                let (returned, receiver) = oneshot::channel();
                runtime.spawn(relay(other, upgrade, sender, receiver));
                *state = OfferState::Socket {
                    socket,
                    verdict,
                    returned,
                };
                true
            }
            before => {
                *state = before;
                false
            }
        }
    }

    /// Takes the upgrade: the application itself responds with 101. `None` if it is not to be had any more.
    pub(super) fn take(&self) -> Option<(OnUpgrade, Handle)> {
        let mut state = self.lock();
        match mem::replace(&mut *state, OfferState::Taken) {
            OfferState::Open(upgrade) => Some((upgrade.on_upgrade, upgrade.runtime)),
            before => {
                *state = before;
                None
            }
        }
    }

    /// The application has returned, or raised: the upgrade cannot be taken any more.
    ///
    /// If the socket was opened, and it is not known yet whether a response was written to it, this waits, without the
    /// interpreter, until the relay has read what was written.
    pub(crate) fn end(&self, py: Python<'_>) -> Outcome {
        let state = mem::replace(&mut *self.lock(), OfferState::Ended);
        let OfferState::Socket {
            socket,
            verdict,
            returned: _returned,
        } = state
        else {
            return Outcome::Ordinary;
        };
        let decided = verdict.try_recv().ok().or_else(|| {
            // Fails if the application has closed the socket, which says the same to the relay.
            let _ = socket.call_method1(py, intern!(py, "shutdown"), (SHUT_WR,));
            py.detach(move || verdict.recv()).ok()
        });
        match decided {
            Some(Verdict::Unused) => Outcome::Ordinary,
            // Without a relay the client has left, or the server has ended.
            Some(Verdict::Responded) | None => Outcome::Responded,
        }
    }

    /// No Python code runs under the lock.
    fn lock(&self) -> MutexGuard<'_, OfferState> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// `socket.SHUT_WR`, which is the same on all systems.
const SHUT_WR: i32 = 1;

impl fmt::Debug for UpgradeOffer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("UpgradeOffer").finish_non_exhaustive()
    }
}
