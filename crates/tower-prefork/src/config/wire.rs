//! The settings of a worker, as its supervisor sends them: a JSON object with a key for each setting.
//!
//! A worker may be of a later version than its supervisor: it skips the settings that it does not know, and has the
//! defaults of those that it misses.

use std::sync::Arc;

use serde_json::{Map, Value as Json};

use super::{Config, ProgramConfig};
use crate::settings::{Kind, RawValue, Setting, Settings, Value};

/// The key of the values that the file has for keys of the program's own.
const OWN: &str = "own";

impl Config {
    /// The settings in a message to a worker.
    pub(crate) fn to_message(&self) -> Json {
        let mut wire = Map::new();
        encode_all(self, &mut wire);
        encode_all(&*self.program, &mut wire);
        if !self.own.is_empty() {
            let own = self.own.clone();
            wire.insert(OWN.into(), Json::Object(own.into_iter().collect()));
        }
        Json::Object(wire)
    }

    /// The settings in a message of the supervisor.
    pub(crate) fn from_message(message: Json) -> Result<Self, &'static str> {
        let Json::Object(mut wire) = message else {
            return Err("the settings in the supervisor's message are no JSON object");
        };
        let mut config = Self::default();
        decode_all(&wire, &mut config);
        let mut program = ProgramConfig::default();
        decode_all(&wire, &mut program);
        config.program = Arc::new(program);
        if let Some(Json::Object(own)) = wire.remove(OWN) {
            config.own = own.into_iter().collect();
        }
        Ok(config)
    }
}

fn encode_all<S: Settings>(settings: &S, wire: &mut Map<String, Json>) {
    for setting in S::TABLE {
        if let Some(value) = (setting.get)(settings) {
            wire.insert(setting.name.into(), encode(setting, value));
        }
    }
}

fn decode_all<S: Settings>(wire: &Map<String, Json>, settings: &mut S) {
    for setting in S::TABLE {
        if let Some(value) = wire
            .get(setting.name)
            .and_then(|json| decode(setting, json))
        {
            // It was checked when it was decoded.
            let _ = (setting.set)(settings, value);
        }
    }
}

/// A value as JSON: numbers and flags as they are, anything else as an operator writes it.
pub(super) fn encode<S: Settings>(setting: &Setting<S>, value: Value) -> Json {
    match value {
        Value::Flag(flag) => flag.into(),
        Value::Number(number) if !matches!(setting.kind, Kind::Mode) => number.into(),
        Value::List(items) => items.into(),
        value => setting.kind.show(&value).into(),
    }
}

/// The value of JSON that [`encode`] has made, or `None` for any other.
pub(super) fn decode<S: Settings>(setting: &Setting<S>, json: &Json) -> Option<Value> {
    setting.read(raw_value(json)).ok()
}

fn raw_value(json: &Json) -> RawValue {
    match json {
        Json::Bool(flag) => RawValue::Flag(*flag),
        Json::String(text) => RawValue::Text(text.clone()),
        Json::Number(number) => match number.as_u64() {
            Some(number) => RawValue::Integer(number),
            None => RawValue::OtherNumber(number.to_string()),
        },
        Json::Array(items) => RawValue::List(items.iter().map(raw_value).collect()),
        Json::Null | Json::Object(_) => RawValue::Other,
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use serde_json::json;

    use super::*;
    use crate::{AccessLog, AccessLogFormat, Workers};

    /// What a worker gets of the settings of its supervisor.
    fn sent(config: &Config) -> Config {
        let text = config.to_message().to_string();
        Config::from_message(text.parse().unwrap()).unwrap()
    }

    fn values<S: Settings>(settings: &S) -> Vec<(&'static str, Option<Value>)> {
        let table = S::TABLE.iter();
        table
            .map(|setting| (setting.name, (setting.get)(settings)))
            .collect()
    }

    #[test]
    fn a_worker_has_the_settings_of_its_supervisor() {
        let defaults = Config::default();
        assert_eq!(values(&sent(&defaults)), values(&defaults));

        let mut config = Config {
            bind: vec!["8000".into(), "unix:a".into()],
            workers: Workers::Count(3),
            graceful_timeout: Duration::from_nanos(1_500_000_001),
            max_rss: Some(1 << 30),
            socket_mode: 0o600,
            access_log: Some(AccessLog::new("-").format(AccessLogFormat::Json)),
            program: Arc::new(ProgramConfig {
                umask: Some(0o27),
                ..ProgramConfig::default()
            }),
            ..Config::default()
        };
        config.http.max_headers = 7;
        config.own.insert("database".into(), "d".into());
        let received = sent(&config);
        assert_eq!(values(&received), values(&config));
        assert_eq!(values(&*received.program), values(&*config.program));
        assert_eq!(received.own, config.own);
    }

    #[test]
    fn a_supervisor_of_another_version_knows_other_settings() {
        let config = Config::from_message(json!({"max_headers": 7, "new": 1})).unwrap();
        assert_eq!(config.http.max_headers, 7);
        assert_eq!(config.backlog, Config::default().backlog);
    }
}
