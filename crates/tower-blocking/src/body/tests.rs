//! Reading, seeking and taking a `BufferedBody`.

use std::io::{Cursor, Read as _, Seek as _, SeekFrom};

use http_body::Body as _;
use http_body_util::BodyExt as _;
use proptest::prelude::*;

use super::BufferedBody;
use crate::spool::Spool;

fn on_disk(bytes: &[u8]) -> BufferedBody {
    let spool = Spool::create().unwrap();
    spool.write_at(bytes, 0).unwrap();
    BufferedBody::on_disk(spool, bytes.len() as u64, None, None)
}

#[derive(Clone, Debug)]
enum Step {
    Read(usize),
    Seek(SeekFrom),
}

fn step() -> impl Strategy<Value = Step> {
    prop_oneof![
        (0..200_usize).prop_map(Step::Read),
        (0..300_u64).prop_map(|to| Step::Seek(SeekFrom::Start(to))),
        (-200..100_i64).prop_map(|by| Step::Seek(SeekFrom::Current(by))),
        (-200..100_i64).prop_map(|by| Step::Seek(SeekFrom::End(by))),
    ]
}

proptest! {
    #[test]
    fn reads_and_seeks_as_a_cursor_does(
        bytes in prop::collection::vec(any::<u8>(), 0..150),
        steps in prop::collection::vec(step(), 0..20),
    ) {
        for mut body in [BufferedBody::from(bytes.clone()), on_disk(&bytes)] {
            let mut model = Cursor::new(&bytes);
            for step in &steps {
                match *step {
                    Step::Read(size) => {
                        let (mut got, mut expected) = (vec![0; size], vec![0; size]);
                        let read = body.read(&mut got).unwrap();
                        prop_assert_eq!(read, model.read(&mut expected).unwrap());
                        prop_assert_eq!(got, expected);
                    }
                    Step::Seek(to) => {
                        prop_assert_eq!(body.seek(to).ok(), model.seek(to).ok());
                    }
                }
            }
        }
    }
}

#[tokio::test]
async fn a_body_on_disk_is_an_http_body_too_and_goes_on_where_the_reader_was() {
    let bytes: Vec<u8> = (0..200_000_u32).map(|n| (n % 251) as u8).collect();
    for mut body in [BufferedBody::from(bytes.clone()), on_disk(&bytes)] {
        body.read_exact(&mut [0; 1000]).unwrap();
        assert_eq!(body.size_hint().exact(), Some(199_000));
        assert!(body.collect().await.unwrap().to_bytes() == bytes[1000..]);
    }
}

#[test]
fn the_whole_body_in_one_piece_wherever_the_reader_was() {
    for mut body in [BufferedBody::from("hello"), on_disk(b"hello")] {
        body.seek(SeekFrom::Start(3)).unwrap();
        assert_eq!(body.into_bytes().unwrap(), "hello");
    }
}

#[tokio::test]
async fn a_seek_forgets_the_read_that_was_under_way() {
    let mut body = on_disk(b"hello");
    let mut first = Box::pin(body.frame());
    assert!(futures_util::poll!(&mut first).is_pending());
    drop(first);
    body.seek(SeekFrom::Start(3)).unwrap();
    assert_eq!(body.collect().await.unwrap().to_bytes(), "lo");
}
