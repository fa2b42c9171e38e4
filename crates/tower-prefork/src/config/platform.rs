//! The environment variables by which hosting platforms configure a server, as gunicorn reads them.

use std::{env, net::Ipv4Addr};

use super::{MAX_WORKERS, Workers};
use crate::listener::Address;

/// The address where no source gives one: `0.0.0.0:$PORT`. The error is a sentence for the operator.
pub(super) fn address() -> Result<Option<Address>, String> {
    variable("PORT").map(|port| parse_port(&port)).transpose()
}

/// The number of workers where no source gives one: `$WEB_CONCURRENCY`. The error is a sentence for the operator.
pub(super) fn workers() -> Result<Option<Workers>, String> {
    let workers = variable("WEB_CONCURRENCY");
    workers.map(|count| parse_workers(&count)).transpose()
}

/// The value of a variable. An empty one counts as not set.
fn variable(name: &str) -> Option<String> {
    let value = env::var_os(name)?.to_string_lossy().into_owned();
    (!value.is_empty()).then_some(value)
}

fn parse_port(text: &str) -> Result<Address, String> {
    let port = text.parse::<u16>();
    port.map(|port| Address::Ip((Ipv4Addr::UNSPECIFIED, port).into()))
        .map_err(|_| {
            format!(
                "the environment variable PORT is {text:?}; set it to a number from 0 to 65535, or \
                 choose an address with --bind"
            )
        })
}

fn parse_workers(text: &str) -> Result<Workers, String> {
    match text.parse() {
        Ok(count @ 1..=MAX_WORKERS) => Ok(Workers::Count(count)),
        _ => Err(format!(
            "the environment variable WEB_CONCURRENCY is {text:?}; set it to a number of workers \
             from 1 to {MAX_WORKERS}"
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_gunicorn_reads_them() {
        assert_eq!(parse_port("5000").unwrap().to_string(), "0.0.0.0:5000");
        assert_eq!(parse_workers("3"), Ok(Workers::Count(3)));
    }

    #[test]
    fn what_makes_no_sense_names_its_variable() {
        for text in ["http", "-1", "65536", "80 "] {
            let error = parse_port(text).unwrap_err();
            assert!(
                error.starts_with("the environment variable PORT is \""),
                "{error}"
            );
        }
        // 0 is for debugging, and nothing that a platform means.
        for text in ["many", "0", "-1", "auto", "1025"] {
            let error = parse_workers(text).unwrap_err();
            let start = "the environment variable WEB_CONCURRENCY is \"";
            assert!(error.starts_with(start), "{error}");
        }
    }
}
