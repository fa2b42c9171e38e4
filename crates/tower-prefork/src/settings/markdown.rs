//! The table of settings for the documentation.

use std::fmt::Write as _;

use super::{Scope, Settings};

/// The settings of `S` as a table in Markdown.
#[must_use]
pub fn markdown<S: Settings>() -> String {
    let defaults = S::default();
    let mut table = String::from(
        "| key | option | variable | value | default | range | of | what it is |\n\
         |---|---|---|---|---|---|---|---|\n",
    );
    for setting in S::TABLE {
        let short = setting.short.map(|short| format!("`-{short}`, "));
        let _ = writeln!(
            table,
            "| `{}` | {}`--{}` | `{}` | {} | {} | {} | {} | {} |",
            setting.name,
            short.unwrap_or_default(),
            setting.option(),
            setting.variable(),
            setting.placeholder().to_lowercase(),
            setting.default_text(&defaults),
            setting.kind.range().unwrap_or_default(),
            match setting.scope {
                Scope::Program => "the program",
                Scope::Server => "each server",
                Scope::Application => "each application",
            },
            setting.help(),
        );
    }
    table
}
