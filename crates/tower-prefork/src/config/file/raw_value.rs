//! The values of TOML, as settings read them.

use serde_json::Value as Json;
use toml::de::DeValue;

use crate::settings::RawValue;

/// A value for a setting.
pub(super) fn raw_value(value: &DeValue<'_>) -> RawValue {
    match value {
        DeValue::String(text) => RawValue::Text(text.to_string()),
        DeValue::Boolean(flag) => RawValue::Flag(*flag),
        DeValue::Integer(number) => {
            match (
                u64::from_str_radix(number.as_str(), number.radix()),
                number.radix(),
            ) {
                (Ok(number), 8) => RawValue::Octal(number),
                (Ok(number), _) => RawValue::Integer(number),
                (Err(_), _) => RawValue::OtherNumber(number.to_string()),
            }
        }
        DeValue::Float(number) => RawValue::OtherNumber(number.as_str().to_owned()),
        DeValue::Array(items) => {
            RawValue::List(items.iter().map(|item| raw_value(item.get_ref())).collect())
        }
        DeValue::Datetime(_) | DeValue::Table(_) => RawValue::Other,
    }
}

/// A value for a key of the program's own.
pub(super) fn json(value: &DeValue<'_>) -> Json {
    match value {
        DeValue::String(text) => text.as_ref().into(),
        DeValue::Boolean(flag) => (*flag).into(),
        DeValue::Integer(number) => {
            i64::from_str_radix(number.as_str(), number.radix()).map_or_else(
                // Too large: no number of JSON is as long.
                |_| number.to_string().into(),
                Into::into,
            )
        }
        DeValue::Float(number) => number.as_str().parse::<f64>().unwrap_or(f64::NAN).into(),
        DeValue::Datetime(time) => time.to_string().into(),
        DeValue::Array(items) => items.iter().map(|item| json(item.get_ref())).collect(),
        DeValue::Table(table) => table
            .iter()
            .map(|(name, value)| (name.get_ref().to_string(), json(value.get_ref())))
            .collect(),
    }
}
