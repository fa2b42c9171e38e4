//! Splits Rust source into tokens, with comments and the line of each: all that the checks need of a parser.

/// A piece of Rust source.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Token<'a> {
    pub(super) kind: Kind,
    pub(super) text: &'a str,
    /// The line on which it begins, from 1.
    pub(super) line: usize,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Kind {
    /// An identifier or keyword.
    Word,
    /// One character of an operator or a bracket.
    Punctuation,
    /// A string literal, with its quotes.
    Text,
    /// A comment, with its slashes.
    Comment,
    /// A number, a character, a lifetime.
    Other,
}

impl Token<'_> {
    pub(super) fn is(&self, text: &str) -> bool {
        matches!(self.kind, Kind::Word | Kind::Punctuation) && self.text == text
    }

    pub(super) fn opens(&self) -> bool {
        self.kind == Kind::Punctuation && matches!(self.text, "{" | "(" | "[")
    }

    pub(super) fn closes(&self) -> bool {
        self.kind == Kind::Punctuation && matches!(self.text, "}" | ")" | "]")
    }
}

/// All tokens of `source`.
pub(super) fn tokens(source: &str) -> Vec<Token<'_>> {
    tokens_by(source, token)
}

/// The tokens of a source of any language. `token` returns the kind and the length of the first one; no kind for what is
/// left out.
pub(super) fn tokens_by(
    source: &str,
    token: impl Fn(&str, char) -> (Option<Kind>, usize),
) -> Vec<Token<'_>> {
    let mut tokens = Vec::new();
    let (mut rest, mut line) = (source, 1);
    while let Some(first) = rest.chars().next() {
        let (kind, length) = token(rest, first);
        let (text, after) = rest.split_at(length);
        if let Some(kind) = kind {
            tokens.push(Token { kind, text, line });
        }
        line += text.matches('\n').count();
        rest = after;
    }
    tokens
}

/// The kind and the length of what `rest` begins with; no kind for blanks.
fn token(rest: &str, first: char) -> (Option<Kind>, usize) {
    if first.is_whitespace() {
        return (None, first.len_utf8());
    }
    if rest.starts_with("//") {
        return (Some(Kind::Comment), rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return (Some(Kind::Comment), block_comment(rest));
    }
    if let Some(length) = string(rest) {
        return (Some(Kind::Text), length);
    }
    if first == '\'' {
        return (Some(Kind::Other), character_or_lifetime(rest));
    }
    if first.is_ascii_digit() {
        let end = rest.find(|c: char| !c.is_alphanumeric() && c != '_');
        return (Some(Kind::Other), end.unwrap_or(rest.len()));
    }
    if first.is_alphabetic() || first == '_' {
        let name = rest.strip_prefix("r#").unwrap_or(rest);
        let end = name.find(|c: char| !c.is_alphanumeric() && c != '_');
        let raw = rest.len() - name.len();
        return (Some(Kind::Word), raw + end.unwrap_or(name.len()));
    }
    (Some(Kind::Punctuation), first.len_utf8())
}

/// The length of a block comment, with those inside it.
fn block_comment(rest: &str) -> usize {
    let (mut depth, mut at) = (0_usize, 0);
    while at < rest.len() {
        let here = &rest.as_bytes()[at..];
        match here {
            [b'/', b'*', ..] => (depth, at) = (depth + 1, at + 2),
            [b'*', b'/', ..] => (depth, at) = (depth - 1, at + 2),
            _ => at += 1,
        }
        if depth == 0 {
            break;
        }
    }
    at
}

/// The length of a string literal, if `rest` begins with one.
fn string(rest: &str) -> Option<usize> {
    let prefix = rest.find(|c: char| !matches!(c, 'b' | 'c' | 'r'))?;
    let (letters, after) = rest.split_at(prefix);
    if !matches!(letters, "" | "b" | "c" | "r" | "br" | "cr") {
        return None;
    }
    if letters.ends_with('r') {
        let hashes = after.find(|c| c != '#')?;
        let body = after[hashes..].strip_prefix('"')?;
        let end = format!("\"{}", "#".repeat(hashes));
        let length = body.find(&end).map_or(body.len(), |at| at + end.len());
        return Some(prefix + hashes + 1 + length);
    }
    let body = after.strip_prefix('"')?;
    let mut escaped = false;
    let end = body.find(|c| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends
    });
    Some(prefix + 1 + end.map_or(body.len(), |at| at + 1))
}

fn character_or_lifetime(rest: &str) -> usize {
    let mut after = rest.char_indices().skip(1);
    match (after.next(), after.next()) {
        (Some((_, '\\')), Some((escaped, _))) => {
            let end = rest[escaped + 1..].find('\'');
            end.map_or(rest.len(), |at| escaped + 1 + at + 1)
        }
        (Some(_), Some((at, '\''))) => at + 1,
        _ => {
            let name = rest[1..].find(|c: char| !c.is_alphanumeric() && c != '_');
            name.map_or(rest.len(), |at| at + 1)
        }
    }
}

/// The tokens that are neither comments nor of tests: without items under `#[cfg(test)]` and the like.
pub(super) fn code<'a>(tokens: &[Token<'a>]) -> Vec<Token<'a>> {
    let tokens: Vec<_> = tokens
        .iter()
        .filter(|token| token.kind != Kind::Comment)
        .copied()
        .collect();
    let mut code = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        match attribute(&tokens[at..]) {
            Some(length) if is_for_tests(&tokens[at..at + length]) => {
                at += length;
                while let Some(length) = attribute(&tokens[at..]) {
                    at += length;
                }
                at += item(&tokens[at..]);
            }
            Some(length) => {
                code.extend(&tokens[at..at + length]);
                at += length;
            }
            None => {
                code.push(tokens[at]);
                at += 1;
            }
        }
    }
    code
}

/// The modules that this file declares for tests only, which are files of their own.
pub(super) fn test_modules<'a>(tokens: &[Token<'a>]) -> Vec<&'a str> {
    let kept = code(tokens);
    let declared = |tokens: &[Token<'a>]| -> Vec<&'a str> {
        tokens
            .windows(3)
            .filter(|three| three[0].is("mod") && three[2].is(";"))
            .map(|three| three[1].text)
            .collect()
    };
    let all: Vec<_> = tokens
        .iter()
        .filter(|token| token.kind != Kind::Comment)
        .copied()
        .collect();
    let kept = declared(&kept);
    let mut names = declared(&all);
    names.retain(|name| !kept.contains(name));
    names
}

/// How many tokens the attribute has with which `tokens` begin.
fn attribute(tokens: &[Token<'_>]) -> Option<usize> {
    let [hash, open, ..] = tokens else {
        return None;
    };
    (hash.is("#") && open.is("[")).then(|| 1 + group(&tokens[1..]))
}

fn is_for_tests(attribute: &[Token<'_>]) -> bool {
    let words: Vec<_> = attribute.iter().filter(|t| t.kind == Kind::Word).collect();
    match words[..] {
        [cfg, test] => cfg.is("cfg") && test.is("test"),
        [cfg, all, ref conditions @ ..] => {
            cfg.is("cfg") && all.is("all") && conditions.iter().any(|it| it.is("test"))
        }
        _ => false,
    }
}

/// How many tokens a pair of brackets and what is inside have.
pub(super) fn group(tokens: &[Token<'_>]) -> usize {
    let mut depth = 0_usize;
    for (index, token) in tokens.iter().enumerate() {
        if token.opens() {
            depth += 1;
        } else if token.closes() {
            depth = depth.saturating_sub(1);
        }
        if depth == 0 {
            return index + 1;
        }
    }
    tokens.len()
}

/// How many tokens the item, field or match arm has with which `tokens` begin.
fn item(tokens: &[Token<'_>]) -> usize {
    const ITEMS: [&str; 10] = [
        "fn",
        "impl",
        "mod",
        "struct",
        "enum",
        "trait",
        "unsafe",
        "async",
        "union",
        "macro_rules",
    ];
    const STATEMENTS: [&str; 5] = ["use", "const", "static", "type", "let"];
    let mut keywords = tokens.iter().filter(|token| token.kind == Kind::Word);
    let keyword = keywords.find(|it| !matches!(it.text, "pub" | "crate" | "super" | "in" | "self"));
    let is_one_of = |words: &[&str]| keyword.is_some_and(|it| words.contains(&it.text));
    let (is_item, is_statement) = (is_one_of(&ITEMS), is_one_of(&STATEMENTS));
    let mut at = 0;
    while let Some(token) = tokens.get(at) {
        if token.closes() {
            return at;
        }
        if token.is(";") || token.is(",") && !is_item && !is_statement {
            return at + 1;
        }
        let length = group(&tokens[at..]);
        at += length;
        if token.is("{") && is_item {
            return at;
        }
    }
    at
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(source: &str) -> Vec<&str> {
        tokens(source).iter().map(|token| token.text).collect()
    }

    #[test]
    fn strings_characters_and_comments_are_one_token_each() {
        let source = r##"a("x // \" y", r#"raw " one"#, b'\'', 'x', '\u{1f}') // end "of" line"##;
        let expected = [
            "a",
            "(",
            r#""x // \" y""#,
            ",",
            r##"r#"raw " one"#"##,
            ",",
            "b",
            r"'\''",
            ",",
            "'x'",
            ",",
            r"'\u{1f}'",
            ")",
            r#"// end "of" line"#,
        ];
        assert_eq!(texts(source), expected);
    }

    #[test]
    fn lifetimes_raw_names_and_nested_comments_are_known() {
        let source = "r#type<'a, 'static> /* one /* two */ still */ 1_000.5 b";
        let expected = [
            "r#type",
            "<",
            "'a",
            ",",
            "'static",
            ">",
            "/* one /* two */ still */",
            "1_000",
            ".",
            "5",
            "b",
        ];
        assert_eq!(texts(source), expected);
    }

    #[test]
    fn a_token_knows_its_line() {
        let source = "/* a\nb */\n\"c\nd\" e";
        let lines: Vec<_> = tokens(source).iter().map(|token| token.line).collect();
        assert_eq!(lines, [1, 3, 4]);
    }

    #[test]
    fn code_is_without_comments_and_tests() {
        let source = "
            use a; // comment
            #[cfg(test)] use b::{c, d};
            #[cfg(all(test, feature = \"full\"))] #[path = \"x\"] mod helpers;
            struct S { a: A, #[cfg(test)] b: fn(B) -> B, c: C }
            #[cfg(any(test, unix))] fn kept() {}
            #[cfg(test)] pub(crate) fn gone<T, U>() -> T { { } }
            #[cfg(test)] mod tests { fn gone() {} }
            fn end() {}";
        let kept: String = code(&tokens(source)).iter().map(|it| it.text).collect();
        assert_eq!(
            kept,
            "usea;structS{a:A,c:C}#[cfg(any(test,unix))]fnkept(){}fnend(){}"
        );
    }

    #[test]
    fn modules_for_tests_are_named() {
        let source = "mod a; #[cfg(test)] mod b; #[cfg(test)] mod c { mod d; }";
        assert_eq!(test_modules(&tokens(source)), ["b", "d"]);
    }
}
