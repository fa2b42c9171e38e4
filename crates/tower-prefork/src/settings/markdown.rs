//! The table of settings for the documentation.

use std::{env, fmt::Write as _, fs, path::Path};

use super::Settings;

/// The settings of `S` as a table in Markdown.
#[must_use]
pub fn markdown<S: Settings>() -> String {
    let defaults = S::default();
    let mut table =
        String::from("| key | value | default | range | meaning |\n|---|---|---|---|---|\n");
    for setting in S::TABLE {
        let short = setting.short.map(|short| format!(", `-{short}`"));
        let _ = writeln!(
            table,
            "| `{}`{} | {} | {} | {} | {} |",
            setting.name,
            short.unwrap_or_default(),
            setting.value_name().to_lowercase(),
            setting.default_text(&defaults),
            setting.kind.range().unwrap_or_default(),
            setting.help(),
        );
    }
    table
}

/// Checks that a file has the table of `S` between the lines `<!-- NAME -->` and `<!-- end of NAME -->`, for a test.
/// With the environment variable `WRITE_SETTINGS` it is written there.
///
/// # Panics
///
/// When the file is another, or cannot be read.
#[doc(hidden)]
pub fn check_markdown<S: Settings>(path: &Path, name: &str) {
    let text = fs::read_to_string(path).expect("the file can be read");
    let [start, end] = ["", "end of "].map(|place| format!("<!-- {place}{name} -->\n"));
    let (before, rest) = text.split_once(&start).expect("the table has a start");
    let (table, after) = rest.split_once(&end).expect("the table has an end");
    let expected = markdown::<S>();
    if table == expected {
        return;
    }
    assert!(
        env::var_os("WRITE_SETTINGS").is_some(),
        "the table of {name} in {} is not that of the code; run this test with WRITE_SETTINGS=1 to write it",
        path.display()
    );
    let text = [before, &start, &expected, &end, after].concat();
    fs::write(path, text).expect("the file can be written");
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{Config, ProgramConfig};

    fn docs(name: &str) -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR"))
            .join("../../docs")
            .join(name)
    }

    /// The table has the settings of all features.
    #[cfg(feature = "cli")]
    #[test]
    fn the_documentation_has_the_settings() {
        let settings = docs("settings.md");
        check_markdown::<ProgramConfig>(&settings, "ProgramConfig");
        check_markdown::<Config>(&settings, "Config");
    }

    #[test]
    fn the_deadlines_of_the_manual_are_the_defaults() {
        let text = fs::read_to_string(docs("operations.md")).unwrap();
        let (_, deadlines) = text.split_once("\n## Deadlines\n").unwrap();
        let (deadlines, _) = deadlines.split_once("\n## ").unwrap();
        let defaults = Config::default();
        let mut count = 0;
        for row in deadlines.lines() {
            let mut cells = row.split('|').map(str::trim).skip(1);
            let (Some(name), Some(default)) = (cells.next(), cells.next()) else {
                continue;
            };
            let Some(setting) = Config::find(name.trim_matches('`')) else {
                continue;
            };
            let Ok(default) = setting.parse(default) else {
                continue;
            };
            assert_eq!((setting.get)(&defaults), Some(default), "{name}");
            count += 1;
        }
        assert_eq!(count, 9);
    }
}
