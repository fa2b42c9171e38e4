//! The exchange between workers: each has a Unix socket in one directory, and sends each message to all other sockets there.

use std::{
    fs::{self, DirBuilder},
    io,
    os::unix::fs::{DirBuilderExt as _, MetadataExt as _},
    path::{Path, PathBuf},
    time::Duration,
};

use futures_util::future::join_all;
use tokio::{net::UnixDatagram, time::timeout};

/// The maximum length of a message between workers, in bytes.
const MAX_MESSAGE: usize = 64 << 10;

/// The maximum time that a message waits for a worker whose queue in the kernel is full. Then that worker misses it.
const PATIENCE: Duration = Duration::from_secs(1);

/// This worker's socket, and the way to the others.
#[derive(Debug)]
pub(crate) struct Hub {
    socket: UnixDatagram,
    path: PathBuf,
}

/// The directory of the sockets of one program, which the process id of its supervisor names.
pub(crate) fn directory(program: u32) -> PathBuf {
    std::env::temp_dir().join(format!("axum-chat-{program}"))
}

impl Hub {
    /// Creates the directory, if this is the first worker, and this worker's socket.
    pub(crate) fn join(directory: &Path) -> io::Result<Self> {
        create(directory)?;
        let path = directory.join(std::process::id().to_string());
        let socket = UnixDatagram::bind(&path)?;
        Ok(Self { socket, path })
    }

    /// The next message of another worker.
    pub(crate) async fn receive(&self) -> io::Result<String> {
        let mut message = vec![0; MAX_MESSAGE];
        let length = self.socket.recv(&mut message).await?;
        message.truncate(length);
        String::from_utf8(message).map_err(io::Error::other)
    }

    /// Sends a message to all other workers.
    pub(crate) async fn send(&self, message: &str) {
        join_all(self.others().iter().map(|other| deliver(other, message))).await;
    }

    fn others(&self) -> Vec<PathBuf> {
        let directory = self.path.parent().and_then(|path| fs::read_dir(path).ok());
        let entries = directory.into_iter().flatten().flatten();
        let paths = entries.map(|entry| entry.path());
        paths.filter(|path| *path != self.path).collect()
    }
}

impl Drop for Hub {
    fn drop(&mut self) {
        let _ = fs::remove_file(&self.path);
        // The last worker removes the directory: for the others it is not empty.
        let _ = self.path.parent().map(fs::remove_dir);
    }
}

async fn deliver(other: &Path, message: &str) {
    let sent = async {
        let socket = UnixDatagram::unbound()?;
        socket.connect(other)?;
        socket.send(message.as_bytes()).await
    };
    match timeout(PATIENCE, sent).await {
        Ok(Ok(_)) => {}
        // Its worker was killed: one that ends removes its socket.
        Ok(Err(error)) if error.kind() == io::ErrorKind::ConnectionRefused => {
            let _ = fs::remove_file(other);
        }
        Ok(Err(error)) if error.kind() == io::ErrorKind::NotFound => {}
        Ok(Err(error)) => tracing::warn!(%error, ?other, "a message was not delivered"),
        Err(_) => tracing::warn!(?other, "a worker takes no messages: it misses one"),
    }
}

/// Creates a directory that no other user can enter, because each program that can send to a socket can speak for all.
fn create(directory: &Path) -> io::Result<()> {
    match DirBuilder::new().mode(0o700).create(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
        created => return created,
    }
    // Another user may have created it first.
    let found = fs::symlink_metadata(directory)?;
    if found.is_dir()
        && found.uid() == fs::metadata("/proc/self")?.uid()
        && found.mode() & 0o077 == 0
    {
        return Ok(());
    }
    let problem = format!("{} belongs to another user; remove it", directory.display());
    Err(io::Error::new(io::ErrorKind::PermissionDenied, problem))
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt as _;

    use super::*;

    fn socket(directory: &Path, name: &str) -> Hub {
        let path = directory.join(name);
        let socket = UnixDatagram::bind(&path).unwrap();
        Hub { socket, path }
    }

    #[tokio::test]
    async fn a_message_reaches_all_others() {
        let directory = tempfile::tempdir().unwrap();
        let [one, two, three] = ["1", "2", "3"].map(|name| socket(directory.path(), name));
        one.send("hello").await;
        three.send("world").await;
        assert_eq!(one.receive().await.unwrap(), "world");
        assert_eq!(two.receive().await.unwrap(), "hello");
        assert_eq!(two.receive().await.unwrap(), "world");
        assert_eq!(three.receive().await.unwrap(), "hello");
    }

    #[tokio::test]
    async fn many_messages_wait_for_their_reader() {
        let directory = tempfile::tempdir().unwrap();
        let [one, two] = ["1", "2"].map(|name| socket(directory.path(), name));
        let send = async {
            for number in 0..1000 {
                one.send(&number.to_string()).await;
            }
        };
        let receive = async {
            for number in 0..1000 {
                assert_eq!(two.receive().await.unwrap(), number.to_string());
            }
        };
        tokio::join!(send, receive);
    }

    #[tokio::test]
    async fn the_socket_of_a_killed_worker_is_removed() {
        let directory = tempfile::tempdir().unwrap();
        let one = socket(directory.path(), "1");
        let killed = directory.path().join("2");
        drop(UnixDatagram::bind(&killed).unwrap());
        assert!(killed.exists());
        one.send("hello").await;
        assert!(!killed.exists());
    }

    #[tokio::test]
    async fn the_last_worker_removes_the_directory() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("hub");
        let one = Hub::join(&directory).unwrap();
        let mode = fs::metadata(&directory).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o700);
        let two = socket(&directory, "2");
        drop(one);
        assert!(directory.exists());
        drop(two);
        assert!(!directory.exists());
    }

    #[tokio::test]
    async fn a_directory_that_others_can_enter_is_refused() {
        let parent = tempfile::tempdir().unwrap();
        let directory = parent.path().join("hub");
        DirBuilder::new().mode(0o755).create(&directory).unwrap();
        fs::set_permissions(&directory, fs::Permissions::from_mode(0o755)).unwrap();
        let error = Hub::join(&directory).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::PermissionDenied);
    }
}
