//! The one page, as HTML. `Escaped` escapes everything that visitors typed.

use std::fmt::{self, Display, Write};

use crate::form::Form;
use crate::store::{Entry, MAX_MESSAGE, MAX_NAME};

/// Everything before the main part of the page.
const HEAD: &str = include_str!("head.html");

/// The page: the `problem` with what was typed, if there is one; the form, filled in with `form`; the `entries`.
pub(crate) fn render(entries: &[Entry], form: &Form, problem: Option<&str>) -> String {
    let mut page = String::from(HEAD);
    // Writing to a `String` cannot fail.
    let _ = write_form(&mut page, form, problem);
    let _ = write_entries(&mut page, entries);
    page.push_str("</main>\n</body>\n</html>\n");
    page
}

fn write_form(page: &mut String, form: &Form, problem: Option<&str>) -> fmt::Result {
    if let Some(problem) = problem {
        writeln!(
            page,
            r#"<p class="problem" id="problem" role="alert">{}</p>"#,
            Escaped(problem)
        )?;
    }
    let described = if problem.is_some() {
        r#" aria-describedby="problem""#
    } else {
        ""
    };
    writeln!(
        page,
        r#"<form method="post" action="/"{described}>
<label for="name">Your name</label>
<input id="name" name="name" value="{name}" maxlength="{MAX_NAME}" autocomplete="name" required>
<label for="message">Your message</label>
<textarea id="message" name="message" rows="4" maxlength="{MAX_MESSAGE}" required>
{message}</textarea>
<button>Sign the book</button>
</form>"#,
        name = Escaped(&form.name),
        message = Escaped(&form.message),
    )
}

fn write_entries(page: &mut String, entries: &[Entry]) -> fmt::Result {
    writeln!(
        page,
        r#"<section aria-labelledby="entries"><h2 id="entries">Latest entries</h2>"#
    )?;
    if entries.is_empty() {
        writeln!(
            page,
            "<p>There are no entries yet: be the first to sign.</p>"
        )?;
    }
    for entry in entries {
        let written = Escaped(&entry.written);
        writeln!(
            page,
            r#"<article><h3>{name}</h3><time datetime="{written}">{written}</time><p>{message}</p></article>"#,
            name = Escaped(&entry.name),
            message = Escaped(&entry.message),
        )?;
    }
    writeln!(page, "</section>")
}

/// A text that is shown as it is, between tags and in quoted attributes.
struct Escaped<'a>(&'a str);

impl Display for Escaped<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for character in self.0.chars() {
            match character {
                '&' => f.write_str("&amp;")?,
                '<' => f.write_str("&lt;")?,
                '>' => f.write_str("&gt;")?,
                '"' => f.write_str("&quot;")?,
                '\'' => f.write_str("&#39;")?,
                other => f.write_char(other)?,
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ATTACK: &str = r#"</textarea>"'><script>alert(1)</script>&amp;"#;
    const HARMLESS: &str =
        "&lt;/textarea&gt;&quot;&#39;&gt;&lt;script&gt;alert(1)&lt;/script&gt;&amp;amp;";

    #[test]
    fn whatever_was_typed_is_escaped_everywhere() {
        let entry = || Entry {
            name: ATTACK.to_owned(),
            message: ATTACK.to_owned(),
            written: ATTACK.to_owned(),
        };
        let form = Form {
            name: ATTACK.to_owned(),
            message: ATTACK.to_owned(),
        };
        let page = render(&[entry(), entry()], &form, Some(ATTACK));
        assert!(!page.contains("<script"), "{page}");
        // Each entry has its time twice.
        assert_eq!(page.matches(HARMLESS).count(), 2 * 4 + 2 + 1, "{page}");
    }

    #[test]
    fn the_page_is_complete_and_needs_nothing_else() {
        let page = render(&[], &Form::default(), None);
        assert!(page.starts_with("<!doctype html>\n<html lang=\"en\">"));
        assert!(page.ends_with("</html>\n"));
        assert!(page.contains("be the first"));
        for external in ["src=", "href=", "url(", "@import"] {
            assert!(!page.contains(external), "{external}");
        }
    }

    #[test]
    fn a_problem_is_told_and_what_was_typed_stays() {
        let form = Form {
            name: "Ada".to_owned(),
            message: "\nhello".to_owned(),
        };
        let page = render(&[], &form, Some("Please give a name."));
        assert!(
            page.contains(r#"role="alert">Please give a name.</p>"#),
            "{page}"
        );
        assert!(page.contains(r#"value="Ada""#), "{page}");
        // HTML drops the first line's end in a text area: the page gives one more.
        assert!(page.contains(">\n\nhello</textarea>"), "{page}");
        assert!(!render(&[], &form, None).contains("role=\"alert\""));
    }
}
