//! Bytes that no client would send on purpose.

use super::*;

const SEED: u64 = 0x7077_5f77_7367_6921;
const ROUNDS: usize = 10_000;

const VALID: [&str; 7] = [
    "GET /a?b=c HTTP/1.1\r\nhost: a.test:8000\r\naccept: */*\r\n\r\n",
    "POST /a HTTP/1.1\r\nhost: a\r\ncontent-length: 11\r\n\r\nhello world",
    "POST /a HTTP/1.1\r\nhost: a\r\ntransfer-encoding: chunked\r\n\r\n5;x=y\r\nhello\r\n6\r\n world\r\n0\r\nx: y\r\n\r\n",
    "POST /a HTTP/1.1\r\nhost: a\r\nexpect: 100-continue\r\ncontent-length: 5\r\n\r\nhello",
    "GET http://b.test/ HTTP/1.1\r\nhost: a\r\nconnection: keep-alive\r\nupgrade: h2c\r\n\r\n",
    "GET /a HTTP/1.1\r\nhost: a\r\nconnection: upgrade\r\nupgrade: websocket\r\n\r\n",
    "GET / HTTP/1.0\r\nconnection: keep-alive\r\n\r\nGET / HTTP/1.0\r\n\r\n",
];

/// Rubbish, requests with rubbish in them, and pieces of requests in a wrong order.
fn bytes(random: &mut fastrand::Rng) -> Vec<u8> {
    match random.u8(0..4) {
        0 => (0..random.usize(0..300)).map(|_| random.u8(..)).collect(),
        1 => {
            let mut bytes = random.choice(VALID).unwrap_or_default().as_bytes().to_vec();
            bytes.truncate(random.usize(0..=bytes.len()));
            bytes
        }
        2 => {
            let mut bytes = Vec::new();
            for _ in 0..random.usize(1..6) {
                let valid = random.choice(VALID).unwrap_or_default().as_bytes();
                let from = random.usize(0..valid.len());
                let to = random.usize(from..=valid.len());
                bytes.extend_from_slice(&valid[from..to]);
            }
            bytes
        }
        _ => {
            let mut bytes = random
                .choice(VALID)
                .unwrap_or_default()
                .repeat(2)
                .into_bytes();
            for _ in 0..random.usize(1..6) {
                let at = random.usize(0..bytes.len());
                match random.u8(0..4) {
                    0 => bytes[at] = random.u8(..),
                    1 => bytes[at] = *random.choice(b"\r\n :;,0\t".as_slice()).unwrap_or(&0),
                    2 => bytes.insert(at, random.u8(..)),
                    _ => drop(bytes.remove(at)),
                }
            }
            bytes
        }
    }
}

/// Every one ends in responses that parse, or in a closed connection. The clock is stopped: what would
/// hang forever ends in the failure of `bounded`.
#[tokio::test(start_paused = true)]
async fn random_bytes_are_refused_served_or_closed() {
    let server = Server::new();
    let mut random = fastrand::Rng::with_seed(SEED);
    let mut statuses = std::collections::BTreeMap::new();
    for round in 0..ROUNDS {
        let bytes = bytes(&mut random);
        let mut client = server.connect(echo());
        // The server may have closed before it has read everything.
        let _ = bounded(client.io.write_all(&bytes)).await;
        if random.bool() {
            let _ = client.io.shutdown().await;
        }
        let mut close = false;
        while let Some(response) = client.head().await {
            if response.status == 100 {
                continue;
            }
            *statuses.entry(response.status).or_insert(0) += 1;
            assert!(
                matches!(response.status, 200 | 400..=431 | 501),
                "round {round}: {} for {:?}",
                response.status,
                String::from_utf8_lossy(&bytes)
            );
            assert!(!close, "round {round}: a response after the last");
            close = response.closes();
            client.body(response).await;
        }
        drop(client.io);
        bounded(client.served).await.expect("no panic");
    }
    assert_eq!(server.load.connections(), OTHERS);
    assert_eq!(server.load.busy(), 0);
    // The bytes must have reached more than one place.
    for status in [200, 400, 408, 417] {
        assert!(statuses.contains_key(&status), "{statuses:?}");
    }
}
