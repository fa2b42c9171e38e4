//! The command line of a server.

use std::path::PathBuf;

/// In arguments, where the port goes.
pub(crate) const PORT: &str = "{port}";

/// A server's command line, with the reason for it.
#[derive(Clone, Debug)]
pub(crate) struct Program {
    /// Its name in the tables, unique in the case.
    pub(crate) name: String,
    pub(crate) path: PathBuf,
    /// One of them has [`PORT`] in it.
    pub(crate) arguments: Vec<String>,
    /// Why its manual recommends this for the case.
    pub(crate) why: &'static str,
}

impl Program {
    /// Of `arguments` that are separated by spaces.
    pub(crate) fn new(name: &str, path: PathBuf, arguments: &str, why: &'static str) -> Self {
        Self {
            name: name.to_owned(),
            path,
            arguments: arguments.split_whitespace().map(str::to_owned).collect(),
            why,
        }
    }

    /// The same under another name.
    pub(crate) fn named(self, name: impl Into<String>) -> Self {
        Self {
            name: name.into(),
            ..self
        }
    }

    /// The same with more arguments, separated by spaces.
    pub(crate) fn with(mut self, arguments: &str) -> Self {
        let arguments = arguments.split_whitespace().map(str::to_owned);
        self.arguments.extend(arguments);
        self
    }

    /// As a person would type it.
    pub(crate) fn line(&self) -> String {
        let name = self.path.file_name().unwrap_or(self.path.as_os_str());
        let mut line = name.display().to_string();
        for argument in &self.arguments {
            line.push(' ');
            line.push_str(&argument.replace(PORT, "PORT"));
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_line_is_what_a_person_would_type() {
        let program = Program::new("a", "/x/serve".into(), "--port {port}", "").with("--quick");
        assert_eq!(program.line(), "serve --port PORT --quick");
    }
}
