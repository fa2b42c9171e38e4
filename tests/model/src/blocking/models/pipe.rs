//! Response bodies between the threads of a pool, which hold a lock that only one can have, and an event loop.

use std::{
    future::poll_fn,
    pin::pin,
    sync::{Arc, Condvar, Mutex},
    task::Poll,
    thread,
};

use bytes::Bytes;
use http_body::{Body as _, Frame, SizeHint};
use http_body_util::BodyExt as _;
use shuttle::rand::{Rng as _, thread_rng};

use crate::{
    blocking::{
        models::lock,
        pipe::{BodyReader, PipeBudget, pipe},
        thread_guard::{GuardScope, ThreadGuard},
    },
    runtime::run,
};

/// Two pieces of this size are more than a body may have in memory.
const SIZE: usize = 200 * 1024;

static BODY: [&[u8]; 3] = [&[0; SIZE], &[1; SIZE], &[2; SIZE]];

/// Two threads write, and the event loop reads all of both bodies, or drops them sooner. There is no room on disk.
pub fn without_disk() {
    model(0);
}

/// There is room for one piece on disk.
pub fn with_disk() {
    model(SIZE);
}

fn model(disk: usize) {
    let budget = PipeBudget::new(0, disk, disk);
    let guard = ThreadGuard::new(lock());
    let mut threads = Vec::new();
    let mut readers = Vec::new();
    for _ in 0..2 {
        let (mut writer, reader) = pipe(SizeHint::default(), &budget);
        readers.push(reader);
        let guard = Arc::clone(&guard);
        threads.push(thread::spawn(move || {
            let scope = GuardScope::enter(&guard);
            let sent = BODY.iter().all(|piece| writer.send(data(piece)).is_ok());
            assert!(!GuardScope::is_lost());
            if sent {
                writer.finish();
            }
            drop(scope);
            sent
        }));
    }
    let ended: Vec<_> = run(async {
        let mut ended = Vec::new();
        for reader in readers {
            ended.push(read(reader).await);
        }
        ended
    });
    for (thread, ended) in threads.into_iter().zip(ended) {
        let sent = thread.join().unwrap();
        assert!(sent || !ended);
    }
    assert!(!guard.is_wanted());
}

/// Reads a body, or a part of it. Says whether it has seen the end.
async fn read(reader: BodyReader) -> bool {
    let mut reader = pin!(reader);
    let wanted = thread_rng().gen_range(0..=BODY.len()) * SIZE;
    let mut read = 0;
    while read < wanted || wanted == BODY.len() * SIZE {
        let Some(frame) = reader.frame().await else {
            assert_eq!(read, BODY.len() * SIZE);
            return true;
        };
        let data = frame.unwrap().into_data().unwrap();
        let piece = &BODY[read / SIZE][read % SIZE..];
        assert!(piece.starts_with(&data));
        read += data.len();
    }
    false
}

fn data(piece: &'static [u8]) -> Frame<Bytes> {
    Frame::data(Bytes::from_static(piece))
}

/// A thread holds the lock until the event loop has dropped a reader whose writer wants the lock: the event loop must
/// not wait for the writer then.
pub fn the_event_loop_never_waits_for_the_lock() {
    let budget = PipeBudget::new(0, 0, 0);
    let guard = ThreadGuard::new(lock());
    let dropped = Arc::new((Mutex::new(false), Condvar::new()));
    let (mut writer, reader) = pipe(SizeHint::default(), &budget);
    let writes = thread::spawn({
        let guard = Arc::clone(&guard);
        move || {
            let _scope = GuardScope::enter(&guard);
            while writer.send(data(BODY[0])).is_ok() {}
        }
    });
    let holds = thread::spawn({
        let dropped = Arc::clone(&dropped);
        move || {
            let _scope = GuardScope::enter(&guard);
            let (is_dropped, notice) = &*dropped;
            let is_dropped = is_dropped.lock().unwrap();
            drop(
                notice
                    .wait_while(is_dropped, |is_dropped| !*is_dropped)
                    .unwrap(),
            );
        }
    });
    run(async {
        let mut reader = reader;
        if thread_rng().gen_bool(0.5) {
            // What the writer has sent so far, if anything.
            poll_fn(|cx| Poll::Ready(pin!(&mut reader).poll_frame(cx).is_ready())).await;
        }
        drop(reader);
    });
    let (is_dropped, notice) = &*dropped;
    *is_dropped.lock().unwrap() = true;
    notice.notify_all();
    writes.join().unwrap();
    holds.join().unwrap();
}
