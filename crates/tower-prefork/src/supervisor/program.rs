//! The program, which workers and new supervisors execute again.

use std::{
    env,
    ffi::OsStr,
    fs, io,
    os::{
        fd::OwnedFd,
        unix::{fs::MetadataExt, process::CommandExt},
    },
    path::{Path, PathBuf},
    process::{Command, Stdio},
};

use tokio::process::Child;

use super::{handover, reaper::OwnChildren};
use crate::{
    control,
    system::{Credentials, LISTEN_VARIABLES, NOTIFY_SOCKET, Title, WATCHDOG_PID, WATCHDOG_USEC},
};

/// This program, to be executed again.
///
/// It keeps how the program was found, not what was found: if the binary is replaced, or a symbolic link in its path changes,
/// later workers execute the new one.
#[derive(Clone, Debug)]
pub(super) struct Program {
    path: PathBuf,
    /// The directory that the program was started in, by the name that the shell uses.
    directory: Option<PathBuf>,
    /// The user and group of the workers, if not those of this process.
    credentials: Option<Credentials>,
    /// Workers have the `argv[0]` of this process, and not their title.
    keeps_name: bool,
    own: OwnChildren,
}

impl Program {
    pub(super) fn current() -> io::Result<Self> {
        let executable = env::current_exe()?;
        let directory = env::current_dir()?;
        let called = env::args_os().next().unwrap_or_default();
        let found = find(&called, &directory, env::var_os("PATH").as_deref());
        let path = match found {
            Some(path) if same_file(&path, Path::new("/proc/self/exe")) => path,
            _ => without_deleted(executable),
        };
        let named = env::var_os("PWD").map(PathBuf::from);
        let named = named.filter(|named| named.is_absolute() && same_file(named, &directory));
        Ok(Self {
            path,
            directory: named,
            credentials: None,
            keeps_name: false,
            own: OwnChildren::default(),
        })
    }

    /// Sets the user of the workers, and whether they keep the name of this process.
    pub(super) fn run_as(self, credentials: Option<Credentials>, keeps_name: bool) -> Self {
        Self {
            credentials,
            keeps_name,
            ..self
        }
    }

    /// The file that is executed.
    #[cfg(feature = "watch")]
    pub(super) fn path(&self) -> &Path {
        &self.path
    }

    /// Starts it as a worker, in a process group of its own, so that only the supervisor gets a Ctrl-C.
    pub(super) fn start_worker(&self, title: &Title<'_>, stdin: OwnedFd) -> io::Result<Child> {
        let mut command = self.command(control::MARKER, stdin);
        command.process_group(0);
        // Only the supervisor reports to the service manager.
        for name in [NOTIFY_SOCKET, WATCHDOG_USEC, WATCHDOG_PID] {
            command.env_remove(name);
        }
        if !self.keeps_name {
            command.arg0(title.to_string());
        }
        if let Some(credentials) = &self.credentials {
            credentials.assume(&mut command);
        }
        self.spawn(command).map_err(|error| self.explained(error))
    }

    /// Adds the file that the user of the workers may not use to the error, if that is the cause.
    fn explained(&self, error: io::Error) -> io::Error {
        let Some(credentials) = self.credentials else {
            return error;
        };
        if error.kind() != io::ErrorKind::PermissionDenied {
            return error;
        }
        let mut paths = [Some(&self.path), self.directory.as_ref()]
            .into_iter()
            .flatten();
        match paths.find_map(|path| credentials.obstacle(path)) {
            Some(obstacle) => io::Error::new(error.kind(), obstacle),
            None => error,
        }
    }

    /// Starts it with its original arguments, and with this environment variable.
    pub(super) fn start_again(&self, marker: &str, stdin: OwnedFd) -> io::Result<Child> {
        let mut command = self.command(marker, stdin);
        // It names this process, whose place the new one takes.
        command.env_remove(WATCHDOG_PID);
        self.spawn(command)
    }

    fn spawn(&self, command: Command) -> io::Result<Child> {
        let child = tokio::process::Command::from(command).spawn()?;
        self.own.add(child.id());
        Ok(child)
    }

    /// The processes that were started.
    pub(super) fn own_children(&self) -> OwnChildren {
        self.own.clone()
    }

    /// The program with the arguments of this process.
    fn command(&self, marker: &str, stdin: OwnedFd) -> Command {
        let mut arguments = env::args_os();
        let mut command = Command::new(&self.path);
        if let Some(name) = arguments.next() {
            command.arg0(name);
        }
        if let Some(directory) = &self.directory {
            command.current_dir(directory);
        }
        for name in LISTEN_VARIABLES {
            command.env_remove(name);
        }
        command
            .args(arguments)
            .env_remove(control::MARKER)
            .env_remove(handover::MARKER)
            .env(marker, "1")
            .stdin(Stdio::from(stdin));
        command
    }
}

/// Finds a program as a shell does.
fn find(called: &OsStr, directory: &Path, path: Option<&OsStr>) -> Option<PathBuf> {
    if called.is_empty() {
        return None;
    }
    if called.as_encoded_bytes().contains(&b'/') {
        return Some(directory.join(called));
    }
    let places = env::split_paths(path?).map(|place| directory.join(place).join(called));
    places.into_iter().find(|place| {
        fs::metadata(place).is_ok_and(|file| file.is_file() && file.mode() & 0o111 != 0)
    })
}

fn same_file(one: &Path, other: &Path) -> bool {
    let identity = |path| fs::metadata(path).map(|file| (file.dev(), file.ino()));
    matches!((identity(one), identity(other)), (Ok(one), Ok(other)) if one == other)
}

/// Removes the kernel's suffix of a binary that was deleted or replaced.
fn without_deleted(path: PathBuf) -> PathBuf {
    let kept = path
        .to_str()
        .and_then(|path| path.strip_suffix(" (deleted)"));
    match kept {
        Some(kept) if !path.exists() => kept.into(),
        _ => path,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt, symlink};

    use super::*;

    #[test]
    fn a_program_is_found_as_a_shell_finds_it() {
        let directory = tempfile::tempdir().unwrap();
        let directory = directory.path();
        for (name, mode) in [("a", 0o644), ("b", 0o755)] {
            fs::create_dir(directory.join(name)).unwrap();
            let file = directory.join(name).join("shop");
            fs::write(&file, "").unwrap();
            fs::set_permissions(&file, fs::Permissions::from_mode(mode)).unwrap();
        }
        let path = env::join_paths([directory.join("none"), directory.join("a"), "b".into()]);
        let path = path.unwrap();
        let find = |called: &str| find(called.as_ref(), directory, Some(&path));

        assert_eq!(find("shop"), Some(directory.join("b/shop")));
        assert_eq!(find("a/shop"), Some(directory.join("a/shop")));
        assert_eq!(find("/bin/shop"), Some("/bin/shop".into()));
        assert_eq!(find("other"), None);
        assert_eq!(find(""), None);
    }

    #[test]
    fn a_link_is_the_same_file() {
        let directory = tempfile::tempdir().unwrap();
        let (file, link) = (directory.path().join("file"), directory.path().join("link"));
        fs::write(&file, "").unwrap();
        symlink(&file, &link).unwrap();
        assert!(same_file(&file, &link));
        assert!(!same_file(&file, directory.path()));
        assert!(!same_file(&directory.path().join("none"), &file));
    }

    #[test]
    fn a_replaced_binary_keeps_its_path() {
        let directory = tempfile::tempdir().unwrap();
        let odd = directory.path().join("shop (deleted)");
        assert_eq!(without_deleted(odd.clone()), directory.path().join("shop"));
        fs::write(&odd, "").unwrap();
        assert_eq!(without_deleted(odd.clone()), odd);
    }
}
