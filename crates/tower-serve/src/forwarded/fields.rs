//! Which fields of a trusted proxy are honoured: [`ForwardedFields`].

use std::{fmt, str::FromStr};

/// Which fields of a trusted proxy are honoured: those that the proxy itself writes. A field that it passes on as its client
/// has sent it must not be among them.
///
/// ```
/// use tower_serve::ForwardedFields;
///
/// let fields: ForwardedFields = "for, proto, host".parse()?;
/// assert_eq!(fields.to_string(), "for,proto,host");
/// assert_eq!(ForwardedFields::default().to_string(), "for,proto");
/// // Each proxy writes one family, so both at once are a mistake.
/// assert!("for,forwarded".parse::<ForwardedFields>().is_err());
/// # Ok::<(), String>(())
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ForwardedFields {
    pub(super) forwarded: bool,
    pub(super) client: bool,
    pub(super) proto: bool,
    pub(super) host: bool,
    pub(super) port: bool,
    pub(super) prefix: bool,
}

/// The names of the fields.
const NAMES: [&str; 6] = ["forwarded", "for", "proto", "host", "port", "prefix"];

impl ForwardedFields {
    const NONE: Self = Self {
        forwarded: false,
        client: false,
        proto: false,
        host: false,
        port: false,
        prefix: false,
    };

    /// The fields of these names: `forwarded` for `Forwarded`, or any of `for`, `proto`, `host`, `port` and `prefix` for
    /// `X-Forwarded-For` and so on, which may be given with that beginning, too. Empty names are skipped.
    ///
    /// # Errors
    ///
    /// When there is no such field, or when both families are given. The error is a sentence for the operator.
    pub fn from_names<T: AsRef<str>>(names: impl IntoIterator<Item = T>) -> Result<Self, String> {
        let mut fields = Self::NONE;
        for name in names {
            let lower = name.as_ref().trim().to_ascii_lowercase();
            if lower.is_empty() {
                continue;
            }
            let short = lower.strip_prefix("x-forwarded-").unwrap_or(&lower);
            let index = NAMES.iter().position(|known| *known == short);
            let field = index.and_then(|index| fields.flags().into_iter().nth(index));
            *field.ok_or_else(|| {
                format!(
                    "{lower:?} is no field of a proxy; choose among {}",
                    NAMES.join(", ")
                )
            })? = true;
        }
        if fields.forwarded
            && fields
                != (Self {
                    forwarded: true,
                    ..Self::NONE
                })
        {
            return Err(
                "a proxy writes Forwarded or the X-Forwarded fields, and passes on the others as its client has sent \
                 them; choose \"forwarded\" alone, or leave it out"
                    .into(),
            );
        }
        Ok(fields)
    }

    /// The names, as [`from_names`](Self::from_names) takes them.
    pub fn names(mut self) -> impl Iterator<Item = &'static str> {
        let flags = self.flags().map(|flag| *flag);
        NAMES
            .into_iter()
            .zip(flags)
            .filter_map(|(name, flag)| flag.then_some(name))
    }

    /// In the order of the names.
    fn flags(&mut self) -> [&mut bool; 6] {
        [
            &mut self.forwarded,
            &mut self.client,
            &mut self.proto,
            &mut self.host,
            &mut self.port,
            &mut self.prefix,
        ]
    }
}

impl Default for ForwardedFields {
    /// `X-Forwarded-For` and `X-Forwarded-Proto`, which nearly every proxy writes.
    fn default() -> Self {
        Self {
            client: true,
            proto: true,
            ..Self::NONE
        }
    }
}

impl FromStr for ForwardedFields {
    type Err = String;

    /// A list with commas.
    fn from_str(text: &str) -> Result<Self, String> {
        Self::from_names(text.split(','))
    }
}

impl fmt::Display for ForwardedFields {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.names().collect();
        f.write_str(&names.join(","))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_list_is_written_as_it_is_read() {
        for text in ["", "forwarded", "for", "for,proto,host,port,prefix"] {
            assert_eq!(text.parse::<ForwardedFields>().unwrap().to_string(), text);
        }
        let whole: ForwardedFields = "X-Forwarded-Host, x-forwarded-for,".parse().unwrap();
        assert_eq!(whole.to_string(), "for,host");
    }

    #[test]
    fn what_makes_no_sense_is_refused() {
        for (text, error) in [
            (
                "x-real-ip",
                "\"x-real-ip\" is no field of a proxy; choose among forwarded, for,",
            ),
            ("forwarded,prefix", "choose \"forwarded\" alone"),
            ("for,forwarded", "choose \"forwarded\" alone"),
        ] {
            let refused = text.parse::<ForwardedFields>().unwrap_err();
            assert!(refused.contains(error), "{refused}");
        }
    }
}
