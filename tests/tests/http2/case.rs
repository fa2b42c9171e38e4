//! A rule with what a client sends, and what must become of it.

use std::{io, net::SocketAddr};

use tests::http2::{Outcome, RawHttp2};

use crate::Server;

/// The path of a response that does not come while a test runs.
pub(crate) const NEVER: &str = "/sleep/600000";

/// A stream that no case uses.
const LATER: u32 = 1001;

/// What a client sends. Returns the stream that the outcome is about.
type Play = fn(&mut RawHttp2) -> io::Result<u32>;

/// One rule.
pub(crate) struct Case {
    /// The rule, with its section.
    rule: &'static str,
    /// Whether the client has to begin with its preface.
    is_fresh: bool,
    play: Play,
    /// Each of them keeps the rule.
    expected: &'static [Expect],
}

/// What must become of a stream, and so of the connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Expect {
    /// A response with this status. The connection is open.
    Served(u16),
    /// The stream is reset with this code. The connection is open.
    Reset(u32),
    /// GOAWAY with this code, and the connection ends.
    GoAway(u32),
    /// The connection ends.
    Closed,
}

/// A case on a connection that is open.
pub(crate) const fn case(rule: &'static str, play: Play, expected: &'static [Expect]) -> Case {
    Case {
        rule,
        is_fresh: false,
        play,
        expected,
    }
}

/// A case on a connection on which nothing was sent.
pub(crate) const fn fresh(rule: &'static str, play: Play, expected: &'static [Expect]) -> Case {
    Case {
        rule,
        is_fresh: true,
        play,
        expected,
    }
}

/// Plays all cases, and panics with those that do not hold.
pub(crate) fn check(cases: &[Case]) {
    let server = Server::start();
    let failures: Vec<_> = cases
        .iter()
        .filter_map(|case| case.check(server.address).err())
        .collect();
    let (count, all) = (failures.len(), cases.len());
    assert!(
        failures.is_empty(),
        "{count} of {all} rules do not hold:\n{}",
        failures.join("\n")
    );
}

impl Case {
    fn check(&self, address: SocketAddr) -> Result<(), String> {
        let mut client = if self.is_fresh {
            RawHttp2::connect_tcp(address)
        } else {
            RawHttp2::connect(address, &[])
        };
        // It may fail because the server has ended the connection, which is to be read then.
        let stream = (self.play)(&mut client).unwrap_or(1);
        let outcome = client.outcome(stream);
        let found = match &outcome {
            Outcome::Served(status, _) => Expect::Served(*status),
            Outcome::Reset(code) => Expect::Reset(*code),
            Outcome::GoAway(code) => Expect::GoAway(*code),
            Outcome::Closed => Expect::Closed,
        };
        let fail = |what: &str| {
            let (rule, expected) = (self.rule, self.expected);
            Err(format!("{rule}: {what}: {outcome:?}, not {expected:?}"))
        };
        if !self.expected.contains(&found) {
            return fail("outcome");
        }
        match found {
            Expect::Served(_) | Expect::Reset(_) => {
                let later = client.fetch(LATER, "/");
                if !matches!(later, Outcome::Served(200, _)) {
                    return fail(&format!("the next stream is {later:?}"));
                }
            }
            Expect::GoAway(_) if !client.is_closed() => return fail("the connection is open"),
            Expect::GoAway(_) | Expect::Closed => {}
        }
        Ok(())
    }
}
