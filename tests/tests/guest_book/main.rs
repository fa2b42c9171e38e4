//! The guest book as its users meet it: four processes, a file of entries, uploads, slow clients.

mod upload;

use std::{
    sync::{Mutex, MutexGuard, PoisonError, mpsc},
    thread,
    time::{Duration, Instant},
};

use tempfile::TempDir;
use tests::{Running, Signal};

/// These tests compare times, so that each has the machine for itself.
static ALONE: Mutex<()> = Mutex::new(());

struct GuestBook {
    running: Running,
    _directory: TempDir,
    _alone: MutexGuard<'static, ()>,
}

fn guest_book(options: &str) -> GuestBook {
    let alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let directory = TempDir::new().unwrap();
    let running = tests::program("standalone")
        .args("-b 127.0.0.1:0")
        .args(options)
        .directory(directory.path())
        .start();
    running.wait_for(" ready ");
    GuestBook {
        running,
        _directory: directory,
        _alone: alone,
    }
}

#[test]
fn a_hundred_sleepers_on_forty_threads_and_health_responds_throughout() {
    let book = guest_book("-w 4 --thread-workers 10");
    let running = &book.running;
    thread::scope(|scope| {
        let (done, is_done) = mpsc::sync_channel::<()>(0);
        let health = scope.spawn(move || {
            let mut slowest = Duration::ZERO;
            while let Err(mpsc::RecvTimeoutError::Timeout) =
                is_done.recv_timeout(Duration::from_millis(10))
            {
                let before = Instant::now();
                assert_eq!(running.client().get("/health").unwrap().status, 200);
                slowest = slowest.max(before.elapsed());
            }
            slowest
        });
        let before = Instant::now();
        let sleepers: Vec<_> = (0..100)
            .map(|_| scope.spawn(|| running.client().get("/sleep?ms=200").unwrap().status))
            .collect();
        for sleeper in sleepers {
            assert_eq!(sleeper.join().unwrap(), 200);
        }
        let took = before.elapsed();
        drop(done);
        let slowest = health.join().unwrap();
        assert!(took < Duration::from_millis(1500), "took {took:?}");
        assert!(
            slowest < Duration::from_millis(50),
            "health took {slowest:?}"
        );
    });
}

#[test]
fn entries_are_seen_by_every_worker() {
    let book = guest_book("-w 4 --thread-workers 10");
    let running = &book.running;
    thread::scope(|scope| {
        for n in 0..40 {
            scope.spawn(move || {
                let mut client = running.client();
                let form = format!("name=Ada&message=entry+{n}+%3Cb%3E");
                let length = form.len();
                let head = format!(
                    "POST / HTTP/1.1\r\nhost: test\r\ncontent-length: {length}\r\n\
                     content-type: application/x-www-form-urlencoded\r\n\r\n"
                );
                client.send(head + &form).unwrap();
                assert_eq!(client.response().unwrap().status, 303);
            });
        }
    });
    for _ in 0..8 {
        let page = running.client().get("/").unwrap().text();
        for n in 0..40 {
            assert!(
                page.contains(&format!("entry {n} &lt;b&gt;")),
                "{n}: {page}"
            );
        }
    }
}

#[test]
fn running_requests_are_completed_at_sigterm() {
    let mut book = guest_book("-w 4 --thread-workers 10");
    let running = &mut book.running;
    let mut clients: Vec<_> = (0..40).map(|_| running.client()).collect();
    for client in &mut clients {
        client
            .send("GET /sleep?ms=700 HTTP/1.1\r\nhost: test\r\n\r\n")
            .unwrap();
    }
    running.signal(Signal::TERM);
    for client in &mut clients {
        assert_eq!(client.response().unwrap().text(), "slept for 700 ms\n");
    }
    assert_eq!(running.exit().code(), Some(0));
}

#[test]
fn a_start_that_cannot_work_is_one_clear_line() {
    let directory = TempDir::new().unwrap();
    let (code, output) = tests::program("standalone")
        .args("-b 127.0.0.1:0 --database")
        .arg(directory.path().join("missing/book.sqlite3"))
        .run();
    assert_eq!(code, Some(1));
    let errors: Vec<_> = output
        .lines()
        .filter(|it| it.starts_with("error:"))
        .collect();
    assert_eq!(errors.len(), 1, "{output}");
    assert!(errors[0].contains("missing/book.sqlite3"), "{output}");
}
