//! Finds the phrases of `xtask/words.txt` in prose and in names.

use std::fs;

use super::finding::Finding;
use super::prose::{self, Segment};
use super::source::{code, tokens};
use super::types;
use crate::command::{Failure, root};

const FILE: &str = "xtask/words.txt";

/// A phrase that is not to be written.
#[derive(Debug, PartialEq)]
pub(super) struct Phrase {
    text: String,
    /// In small letters; the last may end with `*`, for any ending.
    words: Vec<String>,
    scope: Scope,
    reason: String,
    better: String,
}

/// Where a phrase is looked for.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Scope {
    /// In comments, documentation, messages.
    Prose,
    /// There, and as a word of a name: `first_answer`, `AnswerBody`.
    Everywhere,
    /// As the name of a type that is defined: `Polite`.
    Name,
}

/// The list of the project.
pub(super) fn read() -> Result<Vec<Phrase>, Failure> {
    let text = fs::read_to_string(root().join(FILE))
        .map_err(|error| Failure(format!("cannot read {FILE}: {error}")))?;
    parse(&text)
}

/// A line for each: `PHRASE | SCOPE | REASON | BETTER`. Lines that begin with `#` are comments.
fn parse(text: &str) -> Result<Vec<Phrase>, Failure> {
    let lines = text.lines().map(str::trim).zip(1..);
    lines
        .filter(|(line, _)| !line.is_empty() && !line.starts_with('#'))
        .map(|(line, number)| {
            phrase(line).ok_or_else(|| {
                Failure(format!(
                    "{FILE}:{number}: {line:?} is no entry; write \"PHRASE | prose, everywhere or name | REASON | BETTER\""
                ))
            })
        })
        .collect()
}

fn phrase(line: &str) -> Option<Phrase> {
    let fields: Vec<_> = line.split('|').map(str::trim).collect();
    let [text, scope, reason, better] = fields[..] else {
        return None;
    };
    let scope = match scope {
        "prose" => Scope::Prose,
        "everywhere" => Scope::Everywhere,
        "name" => Scope::Name,
        _ => return None,
    };
    let complete = !text.is_empty() && !reason.is_empty() && !better.is_empty();
    complete.then(|| Phrase {
        text: text.to_owned(),
        words: text
            .to_lowercase()
            .split_whitespace()
            .map(str::to_owned)
            .collect(),
        scope,
        reason: reason.to_owned(),
        better: better.to_owned(),
    })
}

/// All places of `phrases` in the text of `file`.
pub(super) fn check(file: &str, text: &str, phrases: &[Phrase]) -> Vec<Finding> {
    let prose = prose::segments(file, text);
    let names: Vec<_> = prose::names(file, text)
        .iter()
        .map(|name| prose::spelled(name.text, name.line))
        .collect();
    let tokens = if file.ends_with(".rs") {
        tokens(text)
    } else {
        Vec::new()
    };
    let types = types::definitions(&code(&tokens));
    let mut findings = Vec::new();
    for phrase in phrases {
        let lines: Vec<usize> = match phrase.scope {
            Scope::Prose => in_prose(phrase, &prose),
            Scope::Everywhere => {
                let lines = [in_prose(phrase, &prose), in_prose(phrase, &names)];
                lines.concat()
            }
            Scope::Name => {
                let same = types.iter().filter(|(name, _)| *name == phrase.text);
                same.map(|(_, line)| *line).collect()
            }
        };
        findings.extend(lines.into_iter().map(|line| phrase.finding(file, line)));
    }
    findings.sort_by_key(|finding| finding.line);
    findings.dedup();
    findings
}

fn in_prose(phrase: &Phrase, segments: &[Segment<'_>]) -> Vec<usize> {
    let mut lines = Vec::new();
    for segment in segments {
        for words in segment.words.windows(phrase.words.len()) {
            let same = words
                .iter()
                .zip(&phrase.words)
                .all(|(word, wanted)| is(&word.text, wanted));
            let together = words[1..].iter().all(|word| !word.begins);
            if same && together {
                lines.push(words[0].line);
            }
        }
    }
    lines
}

fn is(word: &str, wanted: &str) -> bool {
    match wanted.strip_suffix('*') {
        Some(beginning) => word.starts_with(beginning),
        None => word == wanted,
    }
}

impl Phrase {
    fn finding(&self, file: &str, line: usize) -> Finding {
        Finding {
            file: file.to_owned(),
            line,
            key: format!("word {:?}", self.text),
            message: format!("{:?} {}; write {}", self.text, self.reason, self.better),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn phrases() -> Vec<Phrase> {
        parse(
            "# A comment.\n\
             so many | prose | hides a number | the limit's name\n\
             answer* | everywhere | is not the term | \"response\"\n\
             Place | name | says nothing | what is placed\n",
        )
        .expect("it is valid")
    }

    fn lines(file: &str, text: &str) -> Vec<(usize, String)> {
        let findings = check(file, text, &phrases());
        findings.into_iter().map(|it| (it.line, it.key)).collect()
    }

    #[test]
    fn the_list_of_the_project_is_valid() {
        assert!(!read().expect("each line has its parts").is_empty());
    }

    #[test]
    fn an_entry_without_a_reason_is_refused() {
        assert!(parse("so many | prose | | limit").is_err());
        assert!(parse("so many | everything | a riddle | limit").is_err());
    }

    #[test]
    fn the_message_says_what_to_write() {
        let findings = check("a.md", "One.\nOn so\nmany threads.", &phrases());
        assert_eq!(
            findings[0].to_string(),
            "a.md:2: \"so many\" hides a number; write the limit's name"
        );
    }

    #[test]
    fn sentences_are_apart() {
        assert_eq!(lines("a.md", "It is so. Many do."), []);
    }

    #[test]
    fn names_are_split_into_words() {
        let text = "fn first_answer() -> AnswerBody { place() }\nlet answered = 1;";
        let answer = "word \"answer*\"".to_owned();
        let expected = [(1, answer.clone()), (2, answer)];
        assert_eq!(lines("a.rs", text), expected);
    }

    #[test]
    fn a_name_is_rejected_where_the_type_is_defined() {
        let text = "use a::Place;\nstruct Place;\nenum A { Place }";
        assert_eq!(lines("a.rs", text), [(2, "word \"Place\"".to_owned())]);
    }

    #[test]
    fn strings_of_tests_are_data() {
        let text = "const A: &str = \"so many\";\n#[cfg(test)] mod tests { const B: &str = \"so many\"; /* so many */ }";
        let lines: Vec<_> = lines("a.rs", text)
            .into_iter()
            .map(|(line, _)| line)
            .collect();
        assert_eq!(lines, [1, 2]);
    }
}
