//! The prose of a file: comments, documentation and messages of Rust and Python, and all of any other text.

use std::collections::HashSet;

use super::python;
use super::source::{self, Kind, Token};

/// Words that belong together: a paragraph, a comment of several lines, a message.
#[derive(Debug, Default)]
pub(super) struct Segment<'a> {
    pub(super) words: Vec<Word>,
    /// Where the segment stands, for joining comments of several lines.
    lines: Option<(usize, &'a str)>,
}

#[derive(Debug, PartialEq)]
pub(super) struct Word {
    /// In small letters.
    pub(super) text: String,
    pub(super) line: usize,
    /// Punctuation ends the thought before it.
    pub(super) begins: bool,
}

/// A name, where it is written.
#[derive(Debug, PartialEq)]
pub(super) struct Name<'a> {
    pub(super) text: &'a str,
    pub(super) line: usize,
}

/// The prose of the text of `file`.
pub(super) fn segments<'a>(file: &str, text: &'a str) -> Vec<Segment<'a>> {
    match extension(file) {
        "rs" => rust(file, text),
        "py" | "pyi" => tokens_of_prose(python::tokens(text)),
        _ => paragraphs(text),
    }
}

/// The names in Rust and Python source.
pub(super) fn names<'a>(file: &str, text: &'a str) -> Vec<Name<'a>> {
    let tokens = match extension(file) {
        "rs" => source::tokens(text),
        "py" | "pyi" => python::tokens(text),
        _ => return Vec::new(),
    };
    let words = tokens.into_iter().filter(|token| token.kind == Kind::Word);
    let name = |token: Token<'a>| Name {
        text: token.text,
        line: token.line,
    };
    words.map(name).collect()
}

/// The words of a name: of `FirstAnswer` and `first_answer`, `first` and `answer`.
pub(super) fn spelled(name: &str, line: usize) -> Segment<'static> {
    let mut spelled = String::with_capacity(name.len() + 4);
    let mut after_small = false;
    for letter in name.chars() {
        if letter.is_uppercase() && after_small {
            spelled.push(' ');
        }
        after_small = letter.is_lowercase() || letter.is_ascii_digit();
        spelled.push(if letter == '_' { ' ' } else { letter });
    }
    let mut segment = Segment::default();
    segment.add(&spelled, line);
    segment
}

fn extension(file: &str) -> &str {
    file.rsplit_once('.').map_or("", |(_, extension)| extension)
}

/// Strings of tests are data, not prose.
fn rust<'a>(file: &str, text: &'a str) -> Vec<Segment<'a>> {
    let tokens = source::tokens(text);
    let is_test = is_test(file);
    // Two tokens with the same text differ in where it is.
    let code: HashSet<_> = source::code(&tokens)
        .iter()
        .map(|it| it.text.as_ptr())
        .collect();
    let is_said = |token: &Token<'_>| {
        let of_code = || code.contains(&token.text.as_ptr());
        token.kind == Kind::Comment || token.kind == Kind::Text && !is_test && of_code()
    };
    let prose = tokens.iter().filter(|token| is_said(token)).copied();
    tokens_of_prose(prose.collect())
}

/// Whether the file is in a folder of tests.
pub(super) fn is_test(file: &str) -> bool {
    let mut parts = file.split('/');
    parts.any(|part| {
        matches!(
            part,
            "tests" | "tests.rs" | "testing.rs" | "test_helpers.rs"
        )
    })
}

/// Comments on consecutive lines belong together.
fn tokens_of_prose(tokens: Vec<Token<'_>>) -> Vec<Segment<'_>> {
    let mut segments: Vec<Segment<'_>> = Vec::new();
    for token in tokens {
        if !matches!(token.kind, Kind::Comment | Kind::Text) {
            continue;
        }
        let marker = marker(token.text);
        let text = &token.text[marker.len()..];
        let continues = segments.last().and_then(|last| last.lines);
        let is_line = token.kind == Kind::Comment && !marker.starts_with("/*");
        if !is_line || continues != Some((token.line - 1, marker)) || text.trim().is_empty() {
            segments.push(Segment::default());
        }
        if let Some(segment) = segments.last_mut() {
            segment.lines = is_line.then_some((token.line, marker));
            segment.add(text, token.line);
        }
    }
    segments
}

/// What a comment begins with.
fn marker(text: &str) -> &str {
    let end = text.find(|c| !matches!(c, '/' | '!' | '*' | '#'));
    let end = end.unwrap_or(text.len());
    if text.starts_with(['/', '#']) {
        &text[..end]
    } else {
        ""
    }
}

/// Lines up to an empty one.
fn paragraphs(text: &str) -> Vec<Segment<'_>> {
    let mut segments = vec![Segment::default()];
    for (line, number) in text.lines().zip(1..) {
        if line.trim().is_empty() || line.starts_with('|') {
            segments.push(Segment::default());
        }
        if let Some(segment) = segments.last_mut() {
            segment.add(line, number);
        }
    }
    segments
}

impl Segment<'_> {
    /// Adds the words of `text`, but for code between backticks.
    fn add(&mut self, text: &str, first_line: usize) {
        let (mut line, mut in_code, mut begins) = (first_line, false, false);
        let mut word = String::new();
        for letter in text.chars().chain(['\n']) {
            let is_part = letter.is_alphanumeric() || matches!(letter, '_' | '\'' | '’');
            if is_part && !in_code {
                word.extend(letter.to_lowercase());
                continue;
            }
            if !word.is_empty() {
                let text = std::mem::take(&mut word);
                self.words.push(Word { text, line, begins });
                begins = false;
            }
            match letter {
                '`' => (in_code, begins) = (!in_code, true),
                '\n' => (line, in_code) = (line + 1, false),
                '\\' | '-' | '*' | '"' => {}
                _ if letter.is_whitespace() => {}
                _ => begins = true,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn words(file: &str, text: &str) -> Vec<String> {
        let all = segments(file, text).into_iter();
        let text = |segment: Segment<'_>| {
            let words: Vec<_> = segment.words.into_iter().map(|word| word.text).collect();
            words.join(" ")
        };
        all.map(text).filter(|it| !it.is_empty()).collect()
    }

    #[test]
    fn lines_of_a_comment_belong_together() {
        let text =
            "/// One\n/// two.\n///\n/// three\n//! four\nlet a = \"five \\\n six\"; // seven";
        assert_eq!(
            words("a.rs", text),
            ["one two", "three", "four", "five six", "seven"]
        );
    }

    #[test]
    fn code_in_prose_is_left_out() {
        assert_eq!(
            words("a.md", "The `answer` is\nhere.\n\nNext"),
            ["the is here", "next"]
        );
    }

    #[test]
    fn python_has_comments_and_strings() {
        let text =
            "x = 1  # one\ndef f():\n    \"\"\"Two\n    three.\"\"\"\n    # four\n    # five";
        assert_eq!(words("a.py", text), ["one", "two three", "four five"]);
    }

    #[test]
    fn names_are_spelled_out() {
        let spelled = |name| {
            let words = spelled(name, 1).words.into_iter().map(|word| word.text);
            words.collect::<Vec<_>>()
        };
        assert_eq!(spelled("first_answer"), ["first", "answer"]);
        assert_eq!(spelled("FirstAnswer2Body"), ["first", "answer2", "body"]);
        assert_eq!(spelled("TWO_WORDS"), ["two", "words"]);
    }
}
