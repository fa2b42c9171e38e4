use std::{
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

use super::ignore::{is_ignored, is_ignored_name};

/// A change is told when nothing more has followed for so long: editors and version control write
/// many files at once.
const QUIET: Duration = Duration::from_millis(100);

/// But not later than this.
const LONGEST: Duration = Duration::from_secs(2);

/// Changes that were not looked at yet. More at once are one that nobody knows the path of.
const MANY: usize = 1024;

/// Watches the files in these directories, and the program itself. Gives the path of the first
/// file of each batch of changes. To be called on the event loop.
pub(crate) fn changes(
    directories: &[PathBuf],
    program: &Path,
) -> Result<mpsc::Receiver<PathBuf>, String> {
    let mut files = Files::new(directories, program)?;
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
struct Files {
    /// Absolute.
    roots: Vec<PathBuf>,
    program: PathBuf,
    watcher: RecommendedWatcher,
    changes: mpsc::Receiver<PathBuf>,
    /// There were more changes than could be kept: new directories may be among them.
    lost: Arc<AtomicBool>,
}

impl Files {
    fn new(directories: &[PathBuf], program: &Path) -> Result<Self, String> {
        let (sender, changes) = mpsc::channel(MANY);
        // On a thread of the watcher's.
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
                format!("cannot watch {root}: {error}; choose other directories to watch")
            })?;
        }
        // The directory, because another file takes the place of this one.
        if let Some(directory) = program.parent() {
            let watched = files.watcher.watch(directory, RecursiveMode::NonRecursive);
            watched.map_err(|error| format!("cannot watch {}: {error}", directory.display()))?;
        }
        Ok(files)
    }

    /// Watches a directory and those in it. Each by itself, so that large ones that are ignored
    /// cost nothing; links are not followed.
    fn watch_tree(&mut self, directory: &Path) -> notify::Result<()> {
        fs::read_dir(directory)?;
        let mut left = vec![directory.to_owned()];
        while let Some(directory) = left.pop() {
            // One that cannot be read, or is gone again, has no code.
            let Ok(entries) = fs::read_dir(&directory) else {
                continue;
            };
            // Before the entries are looked at, so that no new one is missed.
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

    /// Waits until something has changed, and no more does.
    async fn changed(&mut self) -> Option<PathBuf> {
        let first = loop {
            let path = self.changes.recv().await?;
            if self.matters(&path) {
                break path;
            }
        };
        let longest = Instant::now() + LONGEST;
        loop {
            let quiet = (Instant::now() + QUIET).min(longest);
            match timeout_at(quiet, self.changes.recv()).await {
                Ok(Some(path)) => drop(self.matters(&path)),
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

    /// Whether it is a file to look at. A new directory is watched from now on.
    fn matters(&mut self, path: &Path) -> bool {
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
        // One that is gone again is no loss.
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
