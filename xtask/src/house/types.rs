//! Finds type names that stand twice in a crate.

use std::collections::BTreeMap;

use super::files::Crate;
use super::finding::Finding;
use super::source::{Token, code, tokens};

/// Each name of a struct, enum, trait or type alias that the code of `krate` defines twice.
pub(super) fn check(krate: &Crate) -> Vec<Finding> {
    let mut first: BTreeMap<&str, (&str, usize)> = BTreeMap::new();
    let mut findings = Vec::new();
    for file in &krate.files {
        for (name, line) in definitions(&code(&tokens(&file.text))) {
            let Some((path, before)) = first.get(name) else {
                first.insert(name, (&file.path, line));
                continue;
            };
            let message = format!(
                "the type name {name} stands at {path}:{before} as well; write a name that is unique in {}",
                krate.name
            );
            findings.push(Finding {
                file: file.path.clone(),
                line,
                key: format!("name {} {name}", krate.name),
                message,
            });
        }
    }
    findings
}

/// The types that `code` defines, but for the associated types of traits.
pub(super) fn definitions<'a>(code: &[Token<'a>]) -> Vec<(&'a str, usize)> {
    let mut found = Vec::new();
    // For each open bracket: whether it is the body of an `impl` or a trait.
    let mut bodies: Vec<bool> = Vec::new();
    let mut next_body_is_one = false;
    for (index, token) in code.iter().enumerate() {
        let begins_item = || {
            let before = index.checked_sub(1).and_then(|before| code.get(before));
            before.is_none_or(|it| {
                let item = ["}", ";", "{", "]", ")", "pub", "unsafe", "default"];
                item.iter().any(|text| it.is(text))
            })
        };
        if (token.is("impl") || token.is("trait")) && begins_item() {
            next_body_is_one = true;
        }
        if token.opens() {
            bodies.push(token.is("{") && next_body_is_one);
            next_body_is_one &= !token.is("{");
        } else if token.closes() {
            bodies.pop();
        }
        let defines = ["struct", "enum", "trait", "union"]
            .iter()
            .any(|it| token.is(it))
            || token.is("type") && bodies.last() != Some(&true);
        // In a macro the name is `$name`.
        if let Some(name) = code.get(index + 1)
            && defines
            && begins_item()
            && name.text.starts_with(char::is_alphabetic)
        {
            found.push((name.text, token.line));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::house::files::File;

    fn krate(files: [&str; 2]) -> Crate {
        let file = |(text, number): (&str, usize)| File {
            path: format!("crates/a/src/{number}.rs"),
            text: text.to_owned(),
        };
        Crate::new("a", files.into_iter().zip(1..).map(file).collect())
    }

    #[test]
    fn a_name_that_stands_twice_is_found_with_both_places() {
        let found = check(&krate(["struct A;", "\npub(crate) enum A {}"]));
        assert_eq!(
            found[0].to_string(),
            "crates/a/src/2.rs:2: the type name A stands at crates/a/src/1.rs:1 as well; write a name that is unique in a"
        );
        assert_eq!(found[0].key, "name a A");
    }

    #[test]
    fn private_local_and_alias_names_count() {
        let found = check(&krate([
            "trait A {} fn f() { struct B; }",
            "type A = u8; mod m { union B {} }",
        ]));
        assert_eq!(found.len(), 2);
    }

    #[test]
    fn associated_types_tests_and_macros_do_not_count() {
        let first = "trait T { type A; } impl<X: Into<[u8; 2]>> T for X { type A = (); fn a() -> impl T { } type B = (); }";
        let second = "struct A; struct B; #[cfg(test)] mod tests { struct T; } macro_rules! m { () => { struct $name; struct $name; } }";
        assert_eq!(check(&krate([first, second])), []);
    }
}
