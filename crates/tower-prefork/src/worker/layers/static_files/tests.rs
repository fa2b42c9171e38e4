//! No path, and no link that changes, leads out of the directory of static files.

use std::{
    fs,
    os::unix::fs::symlink,
    path::Path,
    sync::atomic::{AtomicBool, Ordering::Relaxed},
    thread,
    time::Duration,
};

use http::{HeaderMap, Method, header};
use http_body_util::BodyExt as _;
use proptest::{collection::vec, prelude::*, sample::select};
use tokio::runtime::{Builder, Runtime};

use super::{
    cache_control::CacheControl,
    mount::{FileRequest, Mount},
};
use crate::config::StaticFiles;

const INSIDE: &str = "inside";
const OUTSIDE: &str = "outside";

/// A directory of files with all kinds of links, and a secret beside it.
fn make_files(directory: &Path) -> Mount {
    let root = directory.join("root");
    fs::create_dir_all(root.join("a/b")).unwrap();
    fs::write(directory.join("secret"), OUTSIDE).unwrap();
    for name in ["file", "a/file", "a/b/file", "file.gz", ".hidden"] {
        fs::write(root.join(name), INSIDE).unwrap();
    }
    for (name, to) in [
        ("up", ".."),
        ("a/up", ".."),
        ("a/top", "../.."),
        ("out", "../secret"),
        ("inner", "a/b/file"),
        ("loop", "loop"),
        ("system", "/"),
    ] {
        symlink(to, root.join(name)).unwrap();
    }
    symlink(directory.join("secret"), root.join("absolute")).unwrap();
    let files = StaticFiles::new("/", &root);
    Mount::new(&files, CacheControl::new(Duration::ZERO))
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().unwrap()
}

/// The content of the file at a path of a URL, if there is one.
fn content(mount: &Mount, runtime: &Runtime, path: &str, headers: &HeaderMap) -> Option<String> {
    let file = FileRequest::new(&Method::GET, path, headers)?;
    runtime.block_on(async {
        let response = mount.serve(file).await.unwrap()?;
        assert!(response.status().is_success(), "{path}");
        let body = response.into_body().collect().await.unwrap();
        Some(String::from_utf8(body.to_bytes().into()).unwrap())
    })
}

#[test]
fn links_inside_are_followed_and_no_others() {
    let directory = tempfile::tempdir().unwrap();
    let (mount, runtime) = (make_files(directory.path()), runtime());
    let content = |path| content(&mount, &runtime, path, &HeaderMap::new());
    for path in [
        "/file",
        "/inner",
        "/a/up/file",
        "/a/up/a/b/file",
        "/.hidden",
    ] {
        assert_eq!(content(path).as_deref(), Some(INSIDE), "{path}");
    }
    for path in [
        "/out",
        "/up/secret",
        "/a/top/secret",
        "/absolute",
        "/system/etc/passwd",
        "/loop",
    ] {
        assert_eq!(content(path), None, "{path}");
    }
}

/// Segments of paths that mean something, in all ways of writing.
fn path() -> impl Strategy<Value = String> {
    let part = select(vec![
        "/", "/", "..", ".", "%2e%2e", "%2E.", "%2f", "%5c", "\\", "%00", "//", "a", "b", "file",
        "up", "top", "out", "inner", "absolute", "system", "secret", "etc", "passwd", "%", "é",
        "%ff", ".gz",
    ]);
    vec(part, 1..12).prop_map(|parts| format!("/{}", parts.concat()))
}

#[test]
fn no_path_leads_out() {
    let directory = tempfile::tempdir().unwrap();
    let (mount, runtime) = (make_files(directory.path()), runtime());
    let mut gzip = HeaderMap::new();
    gzip.insert(header::ACCEPT_ENCODING, "gzip".parse().unwrap());
    proptest!(ProptestConfig::with_cases(4000), |(path in path())| {
        for headers in [&HeaderMap::new(), &gzip] {
            let content = content(&mount, &runtime, &path, headers);
            prop_assert!(matches!(content.as_deref(), None | Some(INSIDE)), "{path}: {content:?}");
        }
    });
}

#[test]
fn no_moment_leads_out() {
    let directory = tempfile::tempdir().unwrap();
    let (mount, runtime) = (make_files(directory.path()), runtime());
    let root = directory.path().join("root");
    let has_ended = AtomicBool::new(false);
    thread::scope(|scope| {
        scope.spawn(|| {
            while !has_ended.load(Relaxed) {
                for to in ["../secret", "file", "a/up/../secret", "a/b/file"] {
                    symlink(to, root.join("next")).unwrap();
                    fs::rename(root.join("next"), root.join("changing")).unwrap();
                }
            }
        });
        for _ in 0..2000 {
            let content = content(&mount, &runtime, "/changing", &HeaderMap::new());
            assert!(
                matches!(content.as_deref(), None | Some(INSIDE)),
                "{content:?}"
            );
        }
        has_ended.store(true, Relaxed);
    });
}

#[test]
fn a_file_that_has_become_shorter_does_not_look_whole() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("file");
    let file = fs::File::create(&path).unwrap();
    file.set_len(300 << 10).unwrap();
    let files = StaticFiles::new("/", directory.path());
    let mount = Mount::new(&files, CacheControl::new(Duration::ZERO));
    runtime().block_on(async {
        let request = FileRequest::new(&Method::GET, "/file", &HeaderMap::new()).unwrap();
        let response = mount.serve(request).await.unwrap().unwrap();
        assert_eq!(response.headers()[header::CONTENT_LENGTH], "307200");
        file.set_len(100 << 10).unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        // hyper cuts a connection on which less comes than was announced.
        assert_eq!(body.len(), 100 << 10);

        let request = FileRequest::new(&Method::GET, "/file", &HeaderMap::new()).unwrap();
        let response = mount.serve(request).await.unwrap().unwrap();
        file.set_len(200 << 10).unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_eq!(body.len(), 100 << 10);
    });
}
