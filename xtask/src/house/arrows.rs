//! Holds the arrows between the modules of a crate: each module uses only those below it in the list of
//! `docs/architecture.md`.

use std::collections::{BTreeMap, BTreeSet};

use super::files::{Crate, File};
use super::finding::Finding;
use super::source::{Kind, Token, code, group, tokens};

/// The file with the lists.
pub(super) const DOCUMENT: &str = "docs/architecture.md";

/// The top-level modules of a crate, each above those that it uses, with the line where the list stands.
#[derive(Debug, PartialEq)]
pub(super) struct Order {
    krate: String,
    line: usize,
    modules: Vec<String>,
}

/// The lists in the document: fenced blocks of the language `modules CRATE`, one module a line, its first word.
pub(super) fn orders(document: &str) -> Vec<Order> {
    let mut orders: Vec<Order> = Vec::new();
    let mut is_open = false;
    for (line, number) in document.lines().zip(1..) {
        if let Some(krate) = line.strip_prefix("```modules ") {
            is_open = true;
            orders.push(Order {
                krate: krate.trim().to_owned(),
                line: number,
                modules: Vec::new(),
            });
        } else if line.starts_with("```") {
            is_open = false;
        } else if let (true, Some(order), Some(module)) =
            (is_open, orders.last_mut(), line.split_whitespace().next())
        {
            order.modules.push(module.to_owned());
        }
    }
    orders
}

/// Each arrow that runs up the list of `krate`, and each difference between the list and the modules.
pub(super) fn check(krate: &Crate, orders: &[Order]) -> Vec<Finding> {
    let Some(order) = orders.iter().find(|order| order.krate == krate.name) else {
        let message = format!(
            "the crate {0} has no list; write one, \"```modules {0}\"",
            krate.name
        );
        return vec![in_document(1, format!("modules {}", krate.name), message)];
    };
    let mut findings = order.differences(krate);
    let exports = exports(krate);
    let mut seen = BTreeSet::new();
    for file in &krate.files {
        let Some(from) = module_path(&file.path).first().map(|it| (*it).to_owned()) else {
            continue;
        };
        for (name, line) in uses(file) {
            let to = exports.get(name).map_or(name, String::as_str);
            if let (Some(above), Some(below)) = (order.position(&from), order.position(to))
                && above > below
                && seen.insert((file.path.clone(), to.to_owned()))
            {
                findings.push(turned(file, line, &krate.name, &from, to));
            }
        }
    }
    findings
}

fn turned(file: &File, line: usize, krate: &str, from: &str, to: &str) -> Finding {
    Finding {
        file: file.path.clone(),
        line,
        key: format!("arrow {krate} {from} -> {to}"),
        message: format!(
            "{from} uses {to}, which stands above it in {DOCUMENT}; write what both need in a module below them"
        ),
    }
}

fn in_document(line: usize, key: String, message: String) -> Finding {
    Finding {
        file: DOCUMENT.to_owned(),
        line,
        key,
        message,
    }
}

impl Order {
    fn position(&self, module: &str) -> Option<usize> {
        self.modules.iter().position(|it| it == module)
    }

    fn differences(&self, krate: &Crate) -> Vec<Finding> {
        let paths = krate.files.iter().map(|file| module_path(&file.path));
        let modules: BTreeSet<&str> = paths.filter_map(|path| path.first().copied()).collect();
        let missing = modules
            .iter()
            .filter(|module| self.position(module).is_none());
        let missing = missing.map(|module| {
            format!("the module {module} is not in the list; write it below those that use it")
        });
        let gone = self
            .modules
            .iter()
            .filter(|module| !modules.contains(module.as_str()));
        let gone =
            gone.map(|module| format!("there is no module {module}; remove it from the list"));
        let finding = |what: String| {
            let message = format!("{}: {what}", self.krate);
            in_document(self.line, format!("modules {}", self.krate), message)
        };
        missing.chain(gone).map(finding).collect()
    }
}

/// The path of the module that a file holds: nothing for the root.
fn module_path(path: &str) -> Vec<&str> {
    let inside = path.split_once("/src/").map_or(path, |(_, inside)| inside);
    let inside = inside.trim_end_matches(".rs");
    let inside = match inside {
        "lib" | "main" | "mod" => "",
        _ => inside.strip_suffix("/mod").unwrap_or(inside),
    };
    inside.split('/').filter(|part| !part.is_empty()).collect()
}

/// The names that the root gives on, with the module of each: `crate::Config` is one of `config`.
fn exports(krate: &Crate) -> BTreeMap<String, String> {
    let root = krate
        .files
        .iter()
        .find(|file| module_path(&file.path).is_empty());
    let Some(root) = root else {
        return BTreeMap::new();
    };
    let tokens = tokens(&root.text);
    let code = code(&tokens);
    let mut exports = BTreeMap::new();
    for (index, _) in code.iter().enumerate().filter(|(_, token)| token.is("use")) {
        for path in paths(&code[index + 1..]) {
            let path: Vec<_> = path
                .into_iter()
                .filter(|it| !matches!(*it, "self" | "crate"))
                .collect();
            if let [module, .., name] = path[..] {
                exports.insert(name.to_owned(), module.to_owned());
            }
        }
    }
    exports
}

/// What the code of `file` uses of the root of its crate, by `crate::` or `super::`.
fn uses(file: &File) -> Vec<(&str, usize)> {
    let tokens = tokens(&file.text);
    let code = code(&tokens);
    let depth = module_path(&file.path).len();
    // How many brackets are open, and at which count each inline module began.
    let (mut open, mut modules) = (0_usize, Vec::new());
    let mut uses = Vec::new();
    for (index, token) in code.iter().enumerate() {
        if token.opens() {
            let is_module = index >= 2 && code[index - 2].is("mod") && token.is("{");
            open += 1;
            if is_module {
                modules.push(open);
            }
        } else if token.closes() {
            modules.retain(|begin| *begin != open);
            open = open.saturating_sub(1);
        }
        let after_path = index >= 2 && code[index - 1].is(":") && code[index - 2].is(":");
        if after_path || !(token.is("crate") || token.is("super")) {
            continue;
        }
        // `pub(crate)` is no path.
        if !code.get(index + 1).is_some_and(|next| next.is(":")) {
            continue;
        }
        for path in paths(&code[index..]) {
            let supers = path.iter().take_while(|part| **part == "super").count();
            let from_root = match path.first() {
                Some(&"crate") => path.get(1),
                _ if supers == depth + modules.len() => path.get(supers),
                _ => None,
            };
            uses.extend(from_root.map(|name| (*name, token.line)));
        }
    }
    uses
}

/// The paths of one `use` or one expression that begins here: `a::{b, c::d}` are two.
fn paths<'a>(code: &[Token<'a>]) -> Vec<Vec<&'a str>> {
    let mut prefix = Vec::new();
    let mut rest = code;
    loop {
        match rest {
            [token, ..] if token.is("{") => {
                let inside = &rest[1..group(rest).saturating_sub(1).max(1)];
                let parts = branches(inside);
                let inner = parts.into_iter().flat_map(|part| paths(part));
                return inner
                    .map(|path| prefix.iter().copied().chain(path).collect())
                    .collect();
            }
            [token, after @ ..] if token.kind == Kind::Word => {
                prefix.push(token.text);
                rest = after;
            }
            _ => return vec![prefix],
        }
        match rest {
            [first, second, after @ ..] if first.is(":") && second.is(":") => rest = after,
            _ => return vec![prefix],
        }
    }
}

/// What commas separate, outside of inner brackets.
fn branches<'a, 'b>(code: &'b [Token<'a>]) -> Vec<&'b [Token<'a>]> {
    let mut depth = 0_i32;
    code.split(|token| {
        depth += i32::from(token.opens()) - i32::from(token.closes());
        depth == 0 && token.is(",")
    })
    .filter(|branch| !branch.is_empty())
    .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const DOCUMENT: &str =
        "# Text\n\n```modules a\ntop     what it is\nmiddle\nground\n```\n\n```text\nother\n```\n";

    fn krate(files: &[(&str, &str)]) -> Crate {
        let file = |(path, text): &(&str, &str)| File {
            path: format!("crates/a/src/{path}"),
            text: (*text).to_owned(),
        };
        Crate::new("a", files.iter().map(file).collect())
    }

    fn found(top: &str, middle: &str, ground: &str) -> Vec<String> {
        let krate = krate(&[
            (
                "lib.rs",
                "mod top; mod middle; mod ground; pub use self::middle::{Config, inner::Deep};",
            ),
            ("top/mod.rs", top),
            ("middle/part.rs", middle),
            ("ground.rs", ground),
        ]);
        let findings = check(&krate, &orders(DOCUMENT)).into_iter();
        findings
            .map(|it| format!("{} {}", it.line, it.key))
            .collect()
    }

    #[test]
    fn arrows_down_the_list_pass() {
        let top = "use crate::middle::A; use crate::{ground::B, Config};";
        let middle = "use crate::ground::{self, C}; use super::sibling::D; fn f() { super::super::ground::g() }";
        assert_eq!(found(top, middle, "pub(crate) fn g() {}"), [""; 0]);
    }

    #[test]
    fn an_arrow_that_is_turned_around_fails() {
        assert_eq!(
            found("", "", "\nuse crate::top::A;"),
            ["2 arrow a ground -> top"]
        );
        assert_eq!(
            found("", "use crate::{ground,\n top::{A, B}};", ""),
            ["1 arrow a middle -> top"]
        );
    }

    #[test]
    fn a_path_in_an_expression_by_super_or_by_the_root_is_an_arrow() {
        let middle = ["1 arrow a ground -> middle"];
        assert_eq!(found("", "", "fn f() { crate::middle::g() }"), middle);
        assert_eq!(found("", "", "use super::middle::g;"), middle);
        assert_eq!(
            found("", "", "mod inner { use super::super::middle::g; }"),
            middle
        );
        assert_eq!(found("", "", "fn f(_: crate::Config) {}"), middle);
        assert_eq!(found("", "", "fn f(_: crate::Deep) {}"), middle);
        assert_eq!(
            found("", "use super::super::top;", ""),
            ["1 arrow a middle -> top"]
        );
    }

    #[test]
    fn tests_may_use_everything() {
        assert_eq!(
            found("", "", "#[cfg(test)] mod tests { use crate::top::A; }"),
            [""; 0]
        );
    }

    #[test]
    fn the_list_and_the_modules_are_the_same() {
        let krate = krate(&[
            ("lib.rs", ""),
            ("top.rs", ""),
            ("ground.rs", ""),
            ("new.rs", ""),
        ]);
        let findings: Vec<_> = check(&krate, &orders(DOCUMENT))
            .iter()
            .map(ToString::to_string)
            .collect();
        assert_eq!(
            findings,
            [
                "docs/architecture.md:3: a: the module new is not in the list; write it below those that use it",
                "docs/architecture.md:3: a: there is no module middle; remove it from the list"
            ]
        );
    }

    #[test]
    fn a_crate_without_a_list_is_found() {
        assert_eq!(check(&krate(&[]), &[]).len(), 1);
    }
}
