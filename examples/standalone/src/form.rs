//! The form as a browser sends it: `application/x-www-form-urlencoded`.

use std::io::{self, Read};

use crate::store::{MAX_MESSAGE, MAX_NAME};

/// The largest form, in bytes: both texts at their limits, each character as four escaped bytes (`%F0%9F%98%80`).
const MAX_FORM: usize = (MAX_NAME + MAX_MESSAGE) * 12 + 100;

/// What a visitor typed.
#[derive(Debug, Default, PartialEq)]
pub(crate) struct Form {
    pub(crate) name: String,
    pub(crate) message: String,
}

impl Form {
    /// Reads a form from a request's body. `None`: it is larger than any valid form; it was not read to its end.
    ///
    /// Bytes that are not UTF-8 become U+FFFD; unknown fields are ignored; the last of equal names counts.
    pub(crate) fn read(body: impl Read) -> io::Result<Option<Self>> {
        let mut bytes = Vec::new();
        body.take(MAX_FORM as u64 + 1).read_to_end(&mut bytes)?;
        if bytes.len() > MAX_FORM {
            return Ok(None);
        }
        let mut form = Self::default();
        for (field, value) in form_urlencoded::parse(&bytes) {
            match &*field {
                "name" => form.name = value.trim().to_owned(),
                // Browsers send CR LF; the limit that they keep counts a line's end once.
                "message" => form.message = value.replace("\r\n", "\n").trim().to_owned(),
                _ => {}
            }
        }
        Ok(Some(form))
    }

    /// The sentence for a form that cannot become an entry.
    pub(crate) fn problem(&self) -> Option<String> {
        let (name, message) = (self.name.chars().count(), self.message.chars().count());
        let control = |c: char| c.is_control() && c != '\n' && c != '\t';
        if name == 0 {
            Some("Please give a name.".to_owned())
        } else if message == 0 {
            Some("Please write a message.".to_owned())
        } else if name > MAX_NAME {
            Some(format!(
                "The name has {name} characters; it can have {MAX_NAME}."
            ))
        } else if message > MAX_MESSAGE {
            Some(format!(
                "The message has {message} characters; it can have {MAX_MESSAGE}."
            ))
        } else if self.name.contains(char::is_control) {
            Some("The name contains a control character; please remove it.".to_owned())
        } else if self.message.contains(control) {
            Some("The message contains a control character; please remove it.".to_owned())
        } else {
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str) -> Form {
        Form::read(body.as_bytes())
            .expect("memory can be read")
            .expect("it is not too large")
    }

    #[test]
    fn a_browsers_form_is_read() {
        let form = read("name=+Ada+L.&message=One%0D%0Atwo+%26+three%C3%A9&other=x");
        assert_eq!(form.name, "Ada L.");
        assert_eq!(form.message, "One\ntwo & threeé");
        assert_eq!(form.problem(), None);
    }

    #[test]
    fn missing_and_blank_fields_are_named() {
        for (body, problem) in [
            ("", "Please give a name."),
            ("name=+++&message=hello", "Please give a name."),
            ("name=Ada", "Please write a message."),
            ("name=Ada&message=%0D%0A", "Please write a message."),
        ] {
            assert_eq!(read(body).problem().as_deref(), Some(problem), "{body}");
        }
    }

    #[test]
    fn the_limits_count_characters_and_a_lines_end_once() {
        let (name, message) = (
            "%F0%9F%98%80".repeat(MAX_NAME),
            "%0D%0A".repeat(MAX_MESSAGE - 2),
        );
        let form = read(&format!("name={name}&message=a{message}b"));
        assert_eq!(form.problem(), None);

        let form = read(&format!("name={name}n&message=a{message}b"));
        assert_eq!(
            form.problem().as_deref(),
            Some("The name has 81 characters; it can have 80.")
        );
        let form = read(&format!("name=Ada&message=a{message}bc"));
        assert_eq!(
            form.problem().as_deref(),
            Some("The message has 2001 characters; it can have 2000.")
        );
    }

    #[test]
    fn control_characters_are_refused() {
        let problem = read("name=A%00da&message=hello")
            .problem()
            .expect("NUL is refused");
        assert!(
            problem.starts_with("The name contains a control character"),
            "{problem}"
        );
        let problem = read("name=Ada&message=hel%1Blo")
            .problem()
            .expect("ESC is refused");
        assert!(
            problem.starts_with("The message contains a control character"),
            "{problem}"
        );
        assert_eq!(read("name=Ada&message=1%092%0A3").problem(), None);
    }

    #[test]
    fn the_largest_form_is_read_and_nothing_above_it() {
        let (name, message) = (
            "%F0%9F%98%80".repeat(MAX_NAME),
            "%F0%9F%98%80".repeat(MAX_MESSAGE),
        );
        assert_eq!(
            read(&format!("name={name}&message={message}")).problem(),
            None
        );

        let mut endless = io::repeat(b'a');
        assert_eq!(Form::read(&mut endless).expect("it can be read"), None);
    }

    #[test]
    fn bytes_that_are_not_utf_8_are_replaced() {
        assert_eq!(read("name=%FF&message=hello").name, "\u{FFFD}");
    }
}
