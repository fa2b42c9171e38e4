use std::{
    fs, thread,
    time::{Duration, Instant},
};

use sha2::{Digest as _, Sha256};
use tests::{Client, Process};

use crate::guest_book;

/// What the worker has had in memory at most, in bytes.
fn peak_memory(worker: &Process) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", worker.pid())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.unwrap().trim().strip_suffix(" kB").unwrap();
    kib.parse::<u64>().unwrap() << 10
}

#[test]
fn a_gibibyte_arrives_whole_and_costs_little_memory() {
    const MIB: usize = 1 << 20;
    let book = guest_book("-w 1 --thread-workers 2");
    let mut client = book.running.client();
    assert_eq!(client.get("/").unwrap().status, 200);
    let worker = &book.running.workers()[0];
    let before = peak_memory(worker);

    let mut hash = Sha256::new();
    let head = format!(
        "POST /upload HTTP/1.1\r\nhost: test\r\ncontent-length: {}\r\n\r\n",
        1024 * MIB
    );
    client.send(head).unwrap();
    let mut piece = vec![0_u8; MIB];
    for n in 0..1024_u32 {
        piece.rotate_left(1);
        piece[..4].copy_from_slice(&n.to_le_bytes());
        hash.update(&piece);
        client.send(&piece).unwrap();
    }
    let response = client.response().unwrap();
    assert_eq!(response.status, 200);
    let sha256: String = hash
        .finalize()
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    let expected = format!("{{\"length\":{},\"sha256\":\"{sha256}\"}}\n", 1024 * MIB);
    assert_eq!(response.text(), expected);
    let grown = peak_memory(worker) - before;
    assert!(grown < 64 << 20, "{grown} bytes more than before");
}

#[test]
fn over_the_limit_is_413_before_the_body_is_sent() {
    let book = guest_book("-w 1 --max-body 1000");
    for expect in ["", "expect: 100-continue\r\n"] {
        let mut client = book.running.client();
        let head = "POST /upload HTTP/1.1\r\nhost: test\r\ncontent-length: 1001\r\n";
        client.send(format!("{head}{expect}\r\n")).unwrap();
        // The first response is the 413: had there been a 100, it would have come before.
        let response = client.response().unwrap();
        assert_eq!(response.status, 413);
        assert_eq!(response.header("connection"), Some("close"));
        assert!(client.rest().unwrap().is_empty());
    }

    let mut client = book.running.client();
    let head = "POST /upload HTTP/1.1\r\nhost: test\r\ncontent-length: 3\r\n";
    client
        .send(format!("{head}expect: 100-continue\r\n\r\n"))
        .unwrap();
    assert_eq!(
        client.head().unwrap().0,
        100,
        "within the limit it is asked for"
    );
    client.send("abc").unwrap();
    assert!(
        client
            .response()
            .unwrap()
            .text()
            .starts_with("{\"length\":3,")
    );
}

#[test]
fn five_hundred_slow_uploads_take_no_thread_and_get_408_at_the_deadline() {
    const DEADLINE: Duration = Duration::from_secs(4);
    let book = guest_book("-w 1 --thread-workers 1 --body-deadline 4");
    let started = Instant::now();
    let head = "POST /upload HTTP/1.1\r\nhost: test\r\ncontent-length: 1000\r\n\r\n";
    let mut uploads: Vec<Client> = (0..500)
        .map(|_| {
            let mut client = book.running.client();
            client.send(head).unwrap();
            client
        })
        .collect();
    // A byte a second is what these clients do; meanwhile the one thread is free for others.
    let mut others = book.running.client();
    for _ in 0..2 {
        for upload in &mut uploads {
            upload.send("x").unwrap();
        }
        for _ in 0..20 {
            assert_eq!(others.get("/").unwrap().status, 200);
            assert_eq!(others.get("/sleep?ms=1").unwrap().status, 200);
        }
        let responded = uploads.iter().any(Client::has_response);
        assert!(!responded || started.elapsed() >= DEADLINE);
        thread::sleep(Duration::from_secs(1));
    }
    for upload in &mut uploads {
        assert_eq!(upload.response().unwrap().status, 408);
    }
}
