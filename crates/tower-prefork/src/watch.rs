//! Watches files during development: a change causes a reload.

use std::{
    ffi::OsStr,
    fs,
    path::{Path, PathBuf},
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use notify::{
    Event, EventKind, RecommendedWatcher, RecursiveMode, Watcher,
    event::{AccessKind, AccessMode, ModifyKind},
};
use tokio::{
    sync::mpsc,
    time::{Instant, timeout_at},
};

/// A change is reported when no other has followed for this time: editors and version control write many files at once.
const QUIET: Duration = Duration::from_millis(100);

/// The longest time until a change is reported.
const LONGEST: Duration = Duration::from_secs(2);

/// The most pending changes. The paths of further ones are lost.
const MAX_PENDING: usize = 1024;

/// Watches the files in these directories, and the program itself. Returns the path of the first file of each batch of
/// changes. It must be called on the event loop.
pub(crate) fn changes(
    directories: &[PathBuf],
    program: &Path,
) -> Result<mpsc::Receiver<PathBuf>, String> {
    let mut files = FileWatcher::new(directories, program)?;
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(async move {
        while let Some(path) = files.changed().await {
            if sender.send(path).await.is_err() {
                break;
            }
        }
    });
    Ok(receiver)
}

#[derive(Debug)]
struct FileWatcher {
    /// Absolute.
    roots: Vec<PathBuf>,
    program: PathBuf,
    watcher: RecommendedWatcher,
    changes: mpsc::Receiver<PathBuf>,
    /// Whether changes were lost, which may include new directories.
    lost: Arc<AtomicBool>,
}

impl FileWatcher {
    fn new(directories: &[PathBuf], program: &Path) -> Result<Self, String> {
        let (sender, changes) = mpsc::channel(MAX_PENDING);
        // The handler runs on a thread of the watcher.
        let lost = Arc::new(AtomicBool::new(false));
        let is_lost = lost.clone();
        let handler = move |event: notify::Result<Event>| match event {
            Ok(event) if is_change(event.kind) => {
                let mut lost = event.need_rescan();
                for path in event.paths {
                    lost |= sender.try_send(path).is_err();
                }
                is_lost.fetch_or(lost, Relaxed);
            }
            Ok(_) => {}
            Err(error) => tracing::warn!(%error, "cannot watch files"),
        };
        let watcher = notify::recommended_watcher(handler)
            .map_err(|error| format!("cannot watch files: {error}"))?;
        let roots: Result<Vec<_>, _> = directories.iter().map(std::path::absolute).collect();
        let mut files = Self {
            roots: roots.map_err(|error| format!("cannot watch files: {error}"))?,
            program: program.to_owned(),
            watcher,
            changes,
            lost,
        };
        for root in files.roots.clone() {
            files.watch_tree(&root).map_err(|error| {
                let root = root.display();
                format!("cannot watch {root}: {error}; choose other directories")
            })?;
        }
        // Its directory, because the file is replaced by another one.
        if let Some(directory) = program.parent() {
            let watched = files.watcher.watch(directory, RecursiveMode::NonRecursive);
            watched.map_err(|error| format!("cannot watch {}: {error}", directory.display()))?;
        }
        Ok(files)
    }

    /// Watches a directory and those in it, each by itself, so that ignored directories cost nothing. Symbolic links are not
    /// followed.
    fn watch_tree(&mut self, directory: &Path) -> notify::Result<()> {
        fs::read_dir(directory)?;
        let mut left = vec![directory.to_owned()];
        while let Some(directory) = left.pop() {
            // A directory that cannot be read, or was removed, has no code.
            let Ok(entries) = fs::read_dir(&directory) else {
                continue;
            };
            // Before its entries are read, so that no new one is missed.
            self.watcher
                .watch(&directory, RecursiveMode::NonRecursive)?;
            for entry in entries.flatten() {
                let is_directory = entry.file_type().is_ok_and(|kind| kind.is_dir());
                if is_directory && !is_ignored_name(&entry.file_name()) {
                    left.push(entry.path());
                }
            }
        }
        Ok(())
    }

    /// Waits until files have changed, and no further change follows.
    async fn changed(&mut self) -> Option<PathBuf> {
        let first = loop {
            let path = self.changes.recv().await?;
            if self.is_relevant(&path) {
                break path;
            }
        };
        let longest = Instant::now() + LONGEST;
        loop {
            let quiet = (Instant::now() + QUIET).min(longest);
            match timeout_at(quiet, self.changes.recv()).await {
                Ok(Some(path)) => drop(self.is_relevant(&path)),
                Ok(None) | Err(_) => break,
            }
        }
        if self.lost.swap(false, Relaxed) {
            for root in self.roots.clone() {
                self.watch_new(&root);
            }
        }
        Some(first)
    }

    /// Whether the file is relevant. A new directory is watched from now on.
    fn is_relevant(&mut self, path: &Path) -> bool {
        if path == self.program {
            return true;
        }
        let mut inside = self
            .roots
            .iter()
            .filter_map(|root| path.strip_prefix(root).ok());
        if !inside.any(|path| !is_ignored(path)) {
            return false;
        }
        if fs::symlink_metadata(path).is_ok_and(|file| file.is_dir()) {
            self.watch_new(path);
        }
        true
    }

    fn watch_new(&mut self, directory: &Path) {
        // It may have been removed.
        if let Err(error) = self.watch_tree(directory)
            && directory.exists()
        {
            let path = directory.display();
            tracing::warn!(%path, %error, "cannot watch a new directory");
        }
    }
}

fn is_change(kind: EventKind) -> bool {
    match kind {
        EventKind::Any | EventKind::Create(_) | EventKind::Remove(_) | EventKind::Other => true,
        EventKind::Modify(kind) => !matches!(kind, ModifyKind::Metadata(_)),
        EventKind::Access(kind) => kind == AccessKind::Close(AccessMode::Write),
    }
}

/// Whether a path is not part of the program's code, but written by editors, builds or the program itself. It is relative to
/// the watched directory.
fn is_ignored(path: &Path) -> bool {
    path.iter().any(is_ignored_name)
}

/// Whether files and directories with this name are ignored.
fn is_ignored_name(name: &OsStr) -> bool {
    const DIRECTORIES: [&str; 3] = ["__pycache__", "node_modules", "target"];
    // A file with which vim tests whether it can write.
    const FILES: [&str; 1] = ["4913"];
    const ENDS: [&str; 18] = [
        // Editors.
        "~", ".swp", ".swo", ".swx", ".tmp", ".bak", //
        // Compiled Python.
        ".pyc", ".pyo", //
        // What a program writes while it runs.
        ".log", ".pid", ".sock", ".db", ".sqlite", ".sqlite3", //
        // Beside a database of SQLite.
        "-journal", "-wal", "-shm", "-mj",
    ];
    let name = name.to_string_lossy();
    name.starts_with('.')
        || name.starts_with('#') && name.ends_with('#')
        || DIRECTORIES.contains(&&*name)
        || FILES.contains(&&*name)
        || ENDS.iter().any(|end| name.ends_with(end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn code_is_distinguished_from_other_files() {
        for path in [
            ".git/index",
            "app/__pycache__/views.cpython-312.pyc",
            "views.pyc",
            "target/debug/shop",
            "web/node_modules/a/index.js",
            "views.py~",
            ".views.py.swp",
            "#views.py#",
            "4913",
            "db.sqlite3",
            "db.sqlite3-journal",
            "logs/access.log",
        ] {
            assert!(is_ignored(path.as_ref()), "{path}");
        }
        for path in [
            "views.py",
            "app/templates/index.html",
            "src/targets.rs",
            "settings.toml",
            "a#b",
            "dialog",
        ] {
            assert!(!is_ignored(path.as_ref()), "{path}");
        }
    }
}
