//! Installs Debian packages, if this user is allowed to.

use std::path::Path;
use std::process::Command;

use crate::command::{self, Failure};

/// The right to run `apt-get`.
#[derive(Clone, Copy)]
pub(crate) struct AptGet {
    by_sudo: bool,
}

impl AptGet {
    /// `None` on another system than Debian, and for a user who is neither root nor may become it
    /// without a password.
    pub(crate) fn available() -> Option<Self> {
        let succeeds = |program: &str, args: &[&str]| {
            let mut command = Command::new(program);
            command.args(args);
            command::output(command)
        };
        if !Path::new("/etc/debian_version").exists() {
            None
        } else if succeeds("id", &["-u"]).is_ok_and(|uid| uid.trim_ascii() == b"0") {
            Some(Self { by_sudo: false })
        } else if succeeds("sudo", &["--non-interactive", "true"]).is_ok() {
            Some(Self { by_sudo: true })
        } else {
            None
        }
    }

    pub(crate) fn install(self, packages: &[&str]) -> Result<(), Failure> {
        println!("Installing the Debian packages {}.", packages.join(" "));
        command::run(self.command(&["update"]))?;
        let install = ["install", "--yes", "--no-install-recommends"];
        command::run(self.command(&[&install[..], packages].concat()))
    }

    fn command(self, args: &[&str]) -> Command {
        let mut command = if self.by_sudo {
            let mut command = Command::new("sudo");
            command.args(["--non-interactive", "apt-get"]);
            command
        } else {
            Command::new("apt-get")
        };
        command.args(args);
        command
    }
}
