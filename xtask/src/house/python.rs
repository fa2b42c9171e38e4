//! Splits Python source into tokens, as far as the checks need it: comments, strings, names.

use super::source::{Kind, Token, tokens_by};

/// The comments, strings and names of `source`.
pub(super) fn tokens(source: &str) -> Vec<Token<'_>> {
    tokens_by(source, token)
}

/// Whether the file says what it is for: its first statement is a string.
pub(super) fn has_docstring(source: &str) -> bool {
    let first = tokens(source)
        .into_iter()
        .find(|token| token.kind != Kind::Comment);
    first.is_some_and(|token| token.kind == Kind::Text)
}

fn token(rest: &str, first: char) -> (Option<Kind>, usize) {
    if first == '#' {
        return (Some(Kind::Comment), rest.find('\n').unwrap_or(rest.len()));
    }
    if matches!(first, '"' | '\'') {
        return (Some(Kind::Text), string(rest));
    }
    if first.is_alphabetic() || first == '_' {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
        let end = end.unwrap_or(rest.len());
        let is_prefix = matches!(rest.as_bytes().get(end), Some(b'"' | b'\''));
        let kind = if is_prefix { None } else { Some(Kind::Word) };
        return (kind, end);
    }
    (None, first.len_utf8())
}

fn string(rest: &str) -> usize {
    let quote = &rest[..1];
    let triple = quote.repeat(3);
    let quote = if rest.starts_with(&triple) {
        &triple
    } else {
        quote
    };
    let mut at = quote.len();
    while at < rest.len() {
        let here = &rest[at..];
        if here.starts_with(quote) {
            return at + quote.len();
        }
        let mut letters = here.chars();
        let letter = letters.next().map_or(1, char::len_utf8);
        let escaped = if here.starts_with('\\') {
            letters.next().map_or(0, char::len_utf8)
        } else {
            0
        };
        at += letter + escaped;
    }
    rest.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_strings_and_names_are_found() {
        let source = "def f(a):\n    '''Say \"it\".'''\n    return b'x\\'y' + a  # done";
        let found: Vec<_> = tokens(source).iter().map(|it| (it.text, it.line)).collect();
        let expected = [
            ("def", 1),
            ("f", 1),
            ("a", 1),
            ("'''Say \"it\".'''", 2),
            ("return", 3),
            ("'x\\'y'", 3),
            ("a", 3),
            ("# done", 3),
        ];
        assert_eq!(found, expected);
    }

    #[test]
    fn a_docstring_comes_before_code() {
        assert!(has_docstring(
            "#!/usr/bin/python\n\"\"\"What it does.\"\"\"\nimport os\n"
        ));
        assert!(!has_docstring("import os\n\"\"\"Too late.\"\"\"\n"));
    }
}
