//! Limits what a client of HTTP/2 may send that costs it nothing.
//!
//! Most frames carry a request or data, and the limits of requests and bodies hold for them. The others (PING, SETTINGS,
//! PRIORITY, `WINDOW_UPDATE`, `RST_STREAM`, unknown ones) cost the server time, and nothing else limits their number. So the guard
//! looks at the head of each frame, in both directions, between the socket and h2:
//!
//! | frames | at once | refilled |
//! |---|---|---|
//! | PING, PRIORITY, `WINDOW_UPDATE`, CONTINUATION, empty DATA, GOAWAY, unknown | 1000, together | 100 a second; 2 for each HEADERS or DATA frame of the server, and 1 for each 512 bytes of data in either direction |
//! | SETTINGS | the same, and each counts as 10 | |
//! | `RST_STREAM` | 1000 | 50 a second; 1 for each response that the server has finished |
//!
//! Besides, the first frame has to be SETTINGS (RFC 9113 section 3.4), which h2 does not require.
//!
//! A client beyond them gets GOAWAY with `ENHANCE_YOUR_CALM`, where the server's last frame is whole, and its connection is closed.
//! h2 limits the rest by itself: streams that are reset before they are accepted (20), streams that the server
//! has to reset (1024 in the life of a connection), CONTINUATION frames of one block (5), small and empty DATA frames, the
//! size of a list of fields, and its encoder's table (4 KiB). What it owes to a client that reads nothing is bounded
//! because it reads nothing from that client either.
//!
//! | module | what it does |
//! |---|---|
//! | `frames` | finds the heads of frames in a stream of bytes |
//! | `allowance` | a number of frames, which is used up and refilled |
//! | `limits` | which frame takes from which allowance, and which refills it |
//! | `guarded` | the IO between the socket and h2 |
//! | `report` | the line in the log |

mod allowance;
mod frames;
mod guarded;
mod limits;
mod report;

pub(super) use guarded::Guarded;
