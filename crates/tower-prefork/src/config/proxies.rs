//! The settings of proxies as values.

use std::env;

use tower_serve::{ForwardedFields, TrustedPeers};

use crate::settings::{Field, Value};

/// The variable in which gunicorn and uvicorn look for the trusted proxies.
const VARIABLE: &str = "FORWARDED_ALLOW_IPS";

/// The trusted proxies where no source names them: `$FORWARDED_ALLOW_IPS`. An empty one trusts no one. The error is a sentence for
/// the operator.
pub(super) fn forwarded_allow_ips() -> Result<Option<TrustedPeers>, String> {
    let text = env::var_os(VARIABLE).map(|text| text.to_string_lossy().into_owned());
    text.map(|text| parse(&text)).transpose()
}

fn parse(text: &str) -> Result<TrustedPeers, String> {
    text.parse()
        .map_err(|error| format!("the environment variable {VARIABLE} is {text:?}: {error}"))
}

impl Field for TrustedPeers {
    fn from_value(value: Value) -> Result<Self, String> {
        let mut peers = Self::default();
        for text in Vec::<String>::from_value(value)? {
            peers.add(&text)?;
        }
        Ok(peers)
    }

    /// An empty list is a value: that of no one.
    fn to_value(&self) -> Option<Value> {
        Some(Value::List(self.names().collect()))
    }
}

impl Field for ForwardedFields {
    fn from_value(value: Value) -> Result<Self, String> {
        Self::from_names(Vec::<String>::from_value(value)?)
    }

    fn to_value(&self) -> Option<Value> {
        Some(Value::List(self.names().map(str::to_owned).collect()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, settings::Settings};

    #[test]
    fn the_variable_is_a_list() {
        assert_eq!(parse("").unwrap(), TrustedPeers::default());
        assert_eq!(parse("10.0.0.1, *").unwrap().to_string(), "10.0.0.1,*");
        let error = parse("proxy").unwrap_err();
        let start =
            "the environment variable FORWARDED_ALLOW_IPS is \"proxy\": \"proxy\" is no peer;";
        assert!(error.starts_with(start), "{error}");
    }

    #[test]
    fn a_worker_gets_what_its_supervisor_has() {
        for text in ["", "10.0.0.0/8,unix", "*"] {
            let config = Config {
                forwarded_allow_ips: text.parse().unwrap(),
                proxy_allow_ips: text.parse().unwrap(),
                forwarded_headers: "for,prefix".parse().unwrap(),
                proxy_protocol: true,
                ..Config::default()
            };
            let message = Config::from_message(config.to_message()).unwrap();
            assert_eq!(message.forwarded_allow_ips, config.forwarded_allow_ips);
            assert_eq!(message.proxy_allow_ips, config.proxy_allow_ips);
            assert_eq!(message.forwarded_headers, config.forwarded_headers);
            assert!(message.proxy_protocol);
        }
    }

    #[test]
    fn what_is_no_peer_and_no_field_is_refused() {
        for (name, text, problem) in [
            (
                "forwarded_allow_ips",
                "10.0.0.1,proxy",
                "\"proxy\" is no peer",
            ),
            ("proxy_allow_ips", "10.0.0.1/40", "is no peer"),
            (
                "forwarded_headers",
                "for,x-real-ip",
                "is no field of a proxy",
            ),
            (
                "forwarded_headers",
                "for,forwarded",
                "choose \"forwarded\" alone",
            ),
        ] {
            let error = Config::find(name).unwrap().parse(text).unwrap_err();
            assert!(error.contains(problem), "{error}");
        }
    }
}
