//! Sockets with events: Python is called for each message, and an idle socket holds no thread.
//!
//! A task of the event loop owns the connection. It reads frames with tungstenite and puts messages into the inbox of an
//! [`EventSocket`]; a job of the application's pool takes them out and calls the handler, in order and one at a time for
//! each socket. What the handler writes waits in the outbox until the task has sent it. The task never takes the
//! interpreter's lock.
//!
//! | where | limit | at the limit |
//! |---|---|---|
//! | a message | `max_message_size` | the socket is closed with 1009 |
//! | inbox | 32 messages, or the first beyond 64 KiB | the client is not read from |
//! | outbox | `max_outbox` bytes | half of it: the next event waits; all of it: the socket is closed with 1013 |
//! | a close that the client does not acknowledge | 10 s | the connection is dropped; the handler sees 1006 |
//! | jobs | the threads of the pool | sockets wait for their turn; plain requests get theirs between two jobs |

mod close;
mod connection;
mod dispatcher;
mod frame;
mod greenlets;
mod handler;
mod output;
mod socket;
mod transport;
mod turn;
mod upgrade;

pub(crate) use self::{
    dispatcher::{Dispatcher, Runner},
    upgrade::WebSocketUpgrade,
};
