//! The guest book's entries, in a SQLite file that many threads and processes read and write at once.

use std::error::Error;
use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use rusqlite::{Connection, params};

/// The longest name, in characters.
pub(crate) const MAX_NAME: usize = 80;

/// The longest message, in characters.
pub(crate) const MAX_MESSAGE: usize = 2_000;

/// The time that a statement waits for another writer before it fails as busy.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);

/// One entry, as it is read back.
#[derive(Debug, PartialEq)]
pub(crate) struct Entry {
    pub(crate) name: String,
    pub(crate) message: String,
    /// When it was written, in UTC, as in `2026-01-31T12:00:00Z`.
    pub(crate) written: String,
}

/// The entries. Each thread takes a connection for one statement: so there are never more connections than threads.
#[derive(Debug)]
pub(crate) struct Store {
    path: PathBuf,
    busy_timeout: Duration,
    idle: Mutex<Vec<Connection>>,
}

impl Store {
    /// Opens the file at `path`; creates it, and the table in it, where missing.
    pub(crate) fn open(path: impl Into<PathBuf>) -> Result<Self, OpenError> {
        let store = Self {
            path: path.into(),
            busy_timeout: BUSY_TIMEOUT,
            idle: Mutex::default(),
        };
        match store.with_connection(create) {
            Ok(()) => Ok(store),
            Err(source) => Err(OpenError {
                path: store.path,
                source,
            }),
        }
    }

    /// Adds an entry. It is on the disk when this returns.
    ///
    /// Fails if a text is empty or longer than its limit, or if the file stays locked by other writers.
    pub(crate) fn insert(&self, name: &str, message: &str) -> rusqlite::Result<()> {
        self.with_connection(|connection| {
            connection
                .prepare_cached(
                    "INSERT INTO entries (name, message, written) VALUES (?1, ?2, unixepoch())",
                )?
                .execute(params![name, message])?;
            Ok(())
        })
    }

    /// The `count` latest entries, the newest first.
    pub(crate) fn latest(&self, count: u32) -> rusqlite::Result<Vec<Entry>> {
        self.with_connection(|connection| {
            connection
                .prepare_cached(
                    "SELECT name, message, strftime('%Y-%m-%dT%H:%M:%SZ', written, 'unixepoch')
                     FROM entries ORDER BY id DESC LIMIT ?1",
                )?
                .query_map([count], |row| {
                    Ok(Entry {
                        name: row.get(0)?,
                        message: row.get(1)?,
                        written: row.get(2)?,
                    })
                })?
                .collect()
        })
    }

    /// Runs `f` on a connection that no other thread uses meanwhile.
    fn with_connection<T>(
        &self,
        f: impl FnOnce(&Connection) -> rusqlite::Result<T>,
    ) -> rusqlite::Result<T> {
        let idle = || self.idle.lock().unwrap_or_else(PoisonError::into_inner);
        let taken = idle().pop();
        let connection = match taken {
            Some(connection) => connection,
            None => connect(&self.path, self.busy_timeout)?,
        };
        // After an error or a panic the connection is closed: the next caller begins with a new one.
        let value = f(&connection)?;
        idle().push(connection);
        Ok(value)
    }

    /// Makes a locked file an error at once.
    #[cfg(test)]
    pub(crate) fn impatient(mut self) -> Self {
        self.busy_timeout = Duration::ZERO;
        self.idle = Mutex::default();
        self
    }
}

fn connect(path: &Path, busy_timeout: Duration) -> rusqlite::Result<Connection> {
    let connection = Connection::open(path)?;
    connection.busy_timeout(busy_timeout)?;
    write_ahead(&connection, busy_timeout)?;
    Ok(connection)
}

/// Lets readers read while one connection writes. The file keeps the setting: after the first time this only checks it.
fn write_ahead(connection: &Connection, busy_timeout: Duration) -> rusqlite::Result<()> {
    let deadline = Instant::now() + busy_timeout;
    loop {
        match connection.pragma_update(None, "journal_mode", "WAL") {
            // If several connections change a new file at once, SQLite fails all but one without waiting.
            Err(error) if is_busy(&error) && Instant::now() < deadline => {
                thread::sleep(Duration::from_millis(5));
            }
            result => return result,
        }
    }
}

fn create(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch(&format!(
        "CREATE TABLE IF NOT EXISTS entries (
             id INTEGER PRIMARY KEY,
             name TEXT NOT NULL CHECK (length(name) BETWEEN 1 AND {MAX_NAME}),
             message TEXT NOT NULL CHECK (length(message) BETWEEN 1 AND {MAX_MESSAGE}),
             written INTEGER NOT NULL
         ) STRICT"
    ))
}

/// Whether the file was locked by other writers for too long: a later attempt may succeed.
pub(crate) fn is_busy(error: &rusqlite::Error) -> bool {
    error.sqlite_error_code() == Some(rusqlite::ErrorCode::DatabaseBusy)
}

/// The file could not be opened as a guest book.
#[derive(Debug)]
pub(crate) struct OpenError {
    path: PathBuf,
    source: rusqlite::Error,
}

impl fmt::Display for OpenError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.path.display();
        write!(
            f,
            "cannot open the guest book {path}: name a SQLite file, or a new one, that this user can write"
        )
    }
}

impl Error for OpenError {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        Some(&self.source)
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::sync::Barrier;

    use tempfile::TempDir;

    use super::*;

    fn directory() -> TempDir {
        tempfile::tempdir().expect("a temporary directory can be made")
    }

    fn open(directory: &TempDir) -> Store {
        Store::open(directory.path().join("book.sqlite3")).expect("a new file can be opened")
    }

    #[test]
    fn entries_come_back_newest_first_and_no_more_than_asked_for() {
        let directory = directory();
        let store = open(&directory);
        for name in ["Ada", "Grace", "Barbara"] {
            store.insert(name, "hello").expect("it can be written");
        }
        let entries = store.latest(2).expect("it can be read");
        let names: Vec<_> = entries.iter().map(|entry| &*entry.name).collect();
        assert_eq!(names, ["Barbara", "Grace"]);
        assert_eq!(entries[0].message, "hello");
    }

    #[test]
    fn an_entry_has_its_time() {
        let directory = directory();
        let store = open(&directory);
        store.insert("Ada", "hello").expect("it can be written");
        let entries = store.latest(1).expect("it can be read");
        let shape: String = entries[0]
            .written
            .chars()
            .map(|c| if c.is_ascii_digit() { '0' } else { c })
            .collect();
        assert_eq!(shape, "0000-00-00T00:00:00Z");
        assert!(*entries[0].written > *"2020", "{}", entries[0].written);
    }

    #[test]
    fn entries_outlive_the_store() {
        let directory = directory();
        open(&directory)
            .insert("Ada", "hello")
            .expect("it can be written");
        assert_eq!(open(&directory).latest(9).expect("it can be read").len(), 1);
    }

    #[test]
    fn texts_outside_their_limits_are_refused() {
        let directory = directory();
        let store = open(&directory);
        let (name, message) = ("ñ".repeat(MAX_NAME), "ñ".repeat(MAX_MESSAGE));
        store
            .insert(&name, &message)
            .expect("the limits themselves are allowed");
        for (name, message) in [
            ("", "hello"),
            ("Ada", ""),
            (&*format!("{name}n"), "hello"),
            ("Ada", &*format!("{message}n")),
        ] {
            let error = store
                .insert(name, message)
                .expect_err("it is outside the limits");
            assert!(!is_busy(&error));
        }
        assert_eq!(store.latest(9).expect("it can be read").len(), 1);
    }

    #[test]
    fn the_file_is_in_wal_mode() {
        let directory = directory();
        let mode: String = open(&directory)
            .with_connection(|connection| {
                connection.pragma_query_value(None, "journal_mode", |row| row.get(0))
            })
            .expect("it can be read");
        assert_eq!(mode, "wal");
    }

    /// Each store stands for a process: they share nothing but the file. All open it while it is new.
    #[test]
    fn nothing_is_lost_when_many_stores_open_and_write_at_once() {
        const STORES: usize = 4;
        const THREADS: usize = 5;
        const EACH: usize = 5;
        let directory = directory();
        let start = Barrier::new(STORES);
        thread::scope(|scope| {
            for _ in 0..STORES {
                scope.spawn(|| {
                    start.wait();
                    let store = open(&directory);
                    thread::scope(|scope| {
                        for _ in 0..THREADS {
                            scope.spawn(|| {
                                for _ in 0..EACH {
                                    store.insert("Ada", "hello").expect("it waits for its turn");
                                    store.latest(3).expect("reading waits for nobody");
                                }
                            });
                        }
                    });
                    let idle = store.idle.lock().expect("no thread panicked").len();
                    assert!(
                        (1..=THREADS).contains(&idle),
                        "{idle} connections for {THREADS} threads"
                    );
                });
            }
        });
        let count = open(&directory)
            .latest(u32::MAX)
            .expect("it can be read")
            .len();
        assert_eq!(count, STORES * THREADS * EACH);
    }

    #[test]
    fn a_file_locked_for_too_long_is_busy() {
        let directory = directory();
        let other = open(&directory);
        let store = open(&directory).impatient();
        other
            .with_connection(|connection| {
                connection.execute_batch("BEGIN IMMEDIATE")?;
                let error = store.insert("Ada", "hello").expect_err("another writes");
                assert!(is_busy(&error), "{error}");
                store.latest(1).expect("reading needs no lock");
                connection.execute_batch("ROLLBACK")
            })
            .expect("the lock is free");
        store
            .insert("Ada", "hello")
            .expect("nobody else writes now");
    }

    #[test]
    fn what_cannot_be_opened_is_named() {
        let directory = directory();
        let not_sqlite = directory.path().join("notes.txt");
        fs::write(&not_sqlite, "not a SQLite file\n".repeat(99)).expect("it can be written");
        for path in [not_sqlite, directory.path().join("missing/book.sqlite3")] {
            let error = Store::open(&path).expect_err("it is no guest book");
            assert!(
                error.to_string().contains(&*path.to_string_lossy()),
                "{error}"
            );
            assert!(error.source().is_some());
        }
    }
}
