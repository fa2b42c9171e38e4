//! Content negotiation for the responses of the server itself (RFC 9110 section 12.5.1).

/// The form of a response's content.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Form {
    Text,
    Html,
    Json,
}

impl Form {
    /// The form that an `Accept` field prefers. Text where it prefers none, and where it accepts none of them: content
    /// in the wrong form is of more use than none.
    pub(crate) fn negotiate(accept: &[u8]) -> Self {
        let accept = String::from_utf8_lossy(accept);
        let forms = [
            (Self::Text, "text/plain", "text/*"),
            (Self::Html, "text/html", "text/*"),
            (Self::Json, "application/json", "application/*"),
        ];
        let mut best = (0, Self::Text);
        for (form, media_type, range) in forms {
            let quality = quality(&accept, media_type, range);
            if quality > best.0 {
                best = (quality, form);
            }
        }
        best.1
    }

    pub(crate) const fn content_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; charset=utf-8",
            Self::Html => "text/html; charset=utf-8",
            Self::Json => "application/json",
        }
    }
}

/// The quality of a media type in thousandths. The most specific range that matches it counts; a malformed quality is 0.
fn quality(accept: &str, media_type: &str, range: &str) -> u16 {
    let mut best = (0, 0);
    for item in accept.split(',') {
        let mut parts = item.split(';').map(str::trim);
        let name = parts.next().unwrap_or_default();
        let specificity = if name.eq_ignore_ascii_case(media_type) {
            3
        } else if name.eq_ignore_ascii_case(range) {
            2
        } else if name == "*/*" {
            1
        } else {
            continue;
        };
        let weight = parts.find_map(|it| it.strip_prefix("q=").or_else(|| it.strip_prefix("Q=")));
        let weight = weight.map_or(1.0, |it| it.parse::<f32>().unwrap_or(0.0));
        if specificity > best.0 {
            let is_valid = (0.0..=1.0).contains(&weight);
            best = (
                specificity,
                if is_valid {
                    (weight * 1000.0) as u16
                } else {
                    0
                },
            );
        }
    }
    best.1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_client_chooses_the_form() {
        for (accept, form) in [
            ("*/*", Form::Text),
            ("", Form::Text),
            ("image/png", Form::Text),
            ("text/html,application/xhtml+xml,*/*;q=0.8", Form::Html),
            ("application/json", Form::Json),
            ("application/json, text/html;q=0.5", Form::Json),
            ("text/html;q=0.2, application/*;q=0.3", Form::Json),
            ("text/plain;q=0, text/*", Form::Html),
            ("text/html;q=broken, application/json;q=0.1", Form::Json),
            ("text/html;q=2, application/json;q=0.1", Form::Json),
            ("text/html;q=NaN, application/json;q=0.1", Form::Json),
        ] {
            assert_eq!(Form::negotiate(accept.as_bytes()), form, "{accept}");
        }
    }
}
