//! Response bodies in memory, on disk, and while their thread waits for the reader.

use std::thread;

use bytes::Bytes;
use http_body::{Frame, SizeHint};
use http_body_util::BodyExt as _;

use super::{
    buffer::{MAX_MEMORY, OWN_MEMORY, PipeBudget, PipeState},
    pipe,
    reader::BodyReader,
    writer::{BodyWriter, SendError},
};

const CHUNK: usize = OWN_MEMORY / 4;

fn new(disk: usize) -> (BodyWriter, BodyReader) {
    pipe(SizeHint::new(), &PipeBudget::new(0, disk, usize::MAX))
}

fn chunk(n: u8) -> Frame<Bytes> {
    Frame::data(Bytes::from(vec![n; CHUNK]))
}

/// The numbers of the chunks that the next `bytes` belong to.
async fn read(reader: &mut BodyReader, mut bytes: usize) -> Vec<u8> {
    let mut chunks = Vec::new();
    while bytes > 0 {
        let data = reader.frame().await.unwrap().unwrap().into_data().unwrap();
        bytes -= data.len();
        chunks.extend(&data);
    }
    chunks.dedup();
    chunks
}

#[tokio::test]
async fn what_is_on_disk_is_read_before_what_comes_later() {
    let (mut writer, mut reader) = new(usize::MAX);
    for n in 0..6 {
        writer.send(chunk(n)).unwrap();
    }
    // Four of them fit in memory. They are read, and there is room in memory again.
    assert_eq!(read(&mut reader, 4 * CHUNK).await, [0, 1, 2, 3]);
    writer.send(chunk(6)).unwrap();
    assert_eq!(read(&mut reader, 3 * CHUNK).await, [4, 5, 6]);
    // The disk is empty, and memory is used again.
    writer.send(chunk(7)).unwrap();
    assert_eq!(read(&mut reader, CHUNK).await, [7]);
    writer.finish();
    assert!(reader.frame().await.is_none());
}

#[tokio::test]
async fn disk_space_that_was_read_is_given_back() {
    let budget = PipeBudget::new(0, 2 * CHUNK, usize::MAX);
    let (mut writer, mut reader) = pipe(SizeHint::new(), &budget);
    for _ in 0..5 {
        for n in 0..6 {
            writer.send(chunk(n)).unwrap();
        }
        assert_eq!(read(&mut reader, 6 * CHUNK).await, [0, 1, 2, 3, 4, 5]);
    }
    drop((writer, reader));
    let (mut writer, _reader) = pipe(SizeHint::new(), &budget);
    for n in 0..6 {
        writer.send(chunk(n)).unwrap();
    }
}

#[tokio::test]
async fn a_writer_without_disk_space_waits_until_the_reader_has_caught_up() {
    let (mut writer, mut reader) = new(CHUNK);
    let writing = thread::spawn(move || {
        for n in 0..20 {
            writer.send(chunk(n))?;
        }
        writer.finish();
        Ok::<_, SendError>(())
    });
    let chunks: Vec<u8> = (0..20).collect();
    assert_eq!(read(&mut reader, 20 * CHUNK).await, chunks);
    writing.join().unwrap().unwrap();
}

#[tokio::test]
async fn a_piece_that_is_larger_than_the_disk_goes_through_memory() {
    let (mut writer, mut reader) = new(0);
    let writing = thread::spawn(move || {
        for n in 0..3 {
            writer.send(Frame::data(Bytes::from(vec![n; 2 * OWN_MEMORY])))?;
        }
        Ok::<_, SendError>(())
    });
    assert_eq!(read(&mut reader, 6 * OWN_MEMORY).await, [0, 1, 2]);
    writing.join().unwrap().unwrap();
}

#[test]
fn bodies_share_the_memory_beyond_their_own_and_give_it_back() {
    let budget = PipeBudget::new(MAX_MEMORY, 0, 0);
    let fill = |state: &mut PipeState| {
        let piece = || Bytes::from(vec![0; CHUNK]);
        std::iter::from_fn(|| state.keep(piece()).ok()).count()
    };
    let [mut first, mut second, mut third] = [(); 3].map(|()| PipeState::new(&budget));
    assert_eq!(fill(&mut first), MAX_MEMORY / CHUNK);
    assert_eq!(fill(&mut second), 4 + 4);
    assert_eq!(fill(&mut third), 4);
    // Data that is read, that will not be read, and that is dropped with its body.
    for _ in 0..2 {
        first.take().unwrap();
    }
    assert_eq!(fill(&mut third), 2);
    second.forget();
    assert_eq!(fill(&mut third), 4);
    drop(first);
    assert_eq!(fill(&mut third), 6);
    assert_eq!(fill(&mut third), 0, "more than one may have");
}

#[test]
fn nothing_is_written_for_a_reader_that_has_left() {
    let (mut writer, reader) = new(usize::MAX);
    writer.send(chunk(0)).unwrap();
    drop(reader);
    assert!(matches!(writer.send(chunk(1)), Err(SendError::ClientGone)));

    let (mut writer, reader) = new(0);
    let waiting = thread::spawn(move || while writer.send(chunk(0)).is_ok() {});
    drop(reader);
    waiting.join().unwrap();
}

#[tokio::test]
async fn a_writer_that_is_dropped_breaks_the_body_off() {
    let (mut writer, mut reader) = new(usize::MAX);
    writer.send(chunk(0)).unwrap();
    drop(writer);
    assert_eq!(read(&mut reader, CHUNK).await, [0]);
    assert!(reader.frame().await.unwrap().is_err());
    assert!(reader.frame().await.is_none());
}

/// Writes `count` chunks on another thread, and returns how that ended.
fn writing(mut writer: BodyWriter, count: u8) -> thread::JoinHandle<Result<(), SendError>> {
    thread::spawn(move || {
        for n in 0..count {
            writer.send(chunk(n))?;
        }
        writer.finish();
        Ok(())
    })
}

#[tokio::test]
async fn a_body_that_cannot_be_written_to_disk_waits_for_its_reader_in_memory() {
    let missing = tempfile::tempdir().unwrap().path().join("missing");
    let budget = PipeBudget::in_directory(&missing, 0, usize::MAX, usize::MAX);
    let (writer, mut reader) = pipe(SizeHint::new(), &budget);
    let writing = writing(writer, 20);
    let chunks: Vec<u8> = (0..20).collect();
    assert_eq!(read(&mut reader, 20 * CHUNK).await, chunks);
    assert!(reader.frame().await.is_none());
    writing.join().unwrap().unwrap();
}

#[tokio::test]
async fn what_is_on_disk_is_read_though_the_disk_fails_later() {
    let (mut writer, mut reader) = new(usize::MAX);
    for n in 0..6 {
        writer.send(chunk(n)).unwrap();
    }
    writer.fail_disk();
    let rest = thread::spawn(move || {
        for n in 6..12 {
            writer.send(chunk(n))?;
        }
        writer.finish();
        Ok::<_, SendError>(())
    });
    let chunks: Vec<u8> = (0..12).collect();
    assert_eq!(read(&mut reader, 12 * CHUNK).await, chunks);
    assert!(reader.frame().await.is_none());
    rest.join().unwrap().unwrap();
}

#[tokio::test]
async fn one_body_has_a_limit_of_its_own_on_disk() {
    let budget = PipeBudget::new(0, usize::MAX, 2 * CHUNK);
    let (mut writer, mut reader) = pipe(SizeHint::new(), &budget);
    for n in 0..6 {
        writer.send(chunk(n)).unwrap();
    }
    budget.set_queued(|| 1);
    // There is no room for the next piece, and a request waits for the thread.
    let refused = writer.send(chunk(6)).unwrap_err();
    assert!(matches!(refused, SendError::ThreadWanted), "{refused}");
    drop(writer);
    assert_eq!(read(&mut reader, 6 * CHUNK).await, [0, 1, 2, 3, 4, 5]);
    assert!(reader.frame().await.unwrap().is_err(), "never a clean end");
}
