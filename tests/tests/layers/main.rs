//! The layers under both servers, and what happens at their limits.

use std::sync::{Mutex, MutexGuard, PoisonError};

use tests::{Client, PATIENCE, Program, Response, Running};

/// Held by the test that looks at the time and by the one that keeps both cores busy.
static ALONE: Mutex<()> = Mutex::new(());

fn alone() -> MutexGuard<'static, ()> {
    ALONE.lock().unwrap_or_else(PoisonError::into_inner)
}

fn layers() -> Program {
    Program::new(env!("CARGO_BIN_EXE_layers"))
}

fn prefork(options: &str) -> Running {
    layers().args("-b 127.0.0.1:0").args(options).start()
}

fn post(client: &mut Client, path: &str, body: &str) -> Response {
    let length = body.len();
    let head = format!("POST {path} HTTP/1.1\r\nhost: test\r\ncontent-length: {length}\r\n\r\n");
    client.send(head + body).unwrap();
    client.response().unwrap()
}

/// Busy threads, queued jobs, finished jobs.
fn stats(client: &mut Client) -> [usize; 3] {
    let text = client.get("/stats").unwrap().text();
    let numbers: Vec<usize> = text.split(' ').map(|it| it.parse().unwrap()).collect();
    numbers.try_into().unwrap()
}

/// Asks again and again until the pool is as wanted.
fn wait_for_stats(client: &mut Client, wanted: impl Fn([usize; 3]) -> bool) {
    let end = std::time::Instant::now() + PATIENCE;
    loop {
        let stats = stats(client);
        if wanted(stats) {
            return;
        }
        assert!(
            std::time::Instant::now() < end,
            "the pool stays at {stats:?}"
        );
    }
}

#[test]
fn every_layer_works_in_every_place_under_both_servers() {
    for running in [prefork("-w 2"), layers().args("--axum").start()] {
        let mut client = running.client();
        for layer in [
            "wait_for_body",
            "blocking",
            "lazy",
            "response_middleware",
            "wsgi",
        ] {
            for place in ["route_service", "service_builder", "fallback/x", "layer"] {
                if ["lazy", "wsgi"].contains(&layer) && place == "layer" {
                    continue;
                }
                let path = format!("/{layer}/{place}");
                let response = post(&mut client, &path, "hello");
                assert_eq!(response.status, 200, "{path}");
                if layer == "blocking" && place != "layer" {
                    assert!(!response.text().contains("main"), "{path} runs on a thread");
                } else {
                    assert_eq!(response.text(), "hello", "{path}");
                }
                let marked = response.header("marked").is_some();
                assert_eq!(marked, layer == "response_middleware", "{path}");
            }
        }
        for place in ["route_service", "service_builder", "fallback/x", "layer"] {
            let mut client = running.client();
            let path = format!("/wait_for_body/{place}");
            // The head says enough. axum's server would reset a client that still sends the body.
            let length = (1 << 20) + 1;
            let head =
                format!("POST {path} HTTP/1.1\r\nhost: test\r\ncontent-length: {length}\r\n\r\n");
            client.send(head).unwrap();
            assert_eq!(client.response().unwrap().status, 413, "{path}");
        }
    }
}

#[test]
fn a_panic_is_a_500_and_the_worker_lives() {
    let running = prefork("-w 1 --thread-workers 1");
    let mut client = running.client();
    let before = running.workers()[0].pid();
    for _ in 0..20 {
        let response = client.get("/panic").unwrap();
        assert_eq!(response.status, 500);
        assert!(!response.text().contains("as the test wants it"));
    }
    wait_for_stats(&mut client, |stats| stats == [0, 0, 20]);
    assert_eq!(running.workers()[0].pid(), before);
}

#[test]
fn a_lazy_build_that_failed_is_tried_again() {
    let running = prefork("-w 1");
    let mut client = running.client();
    let response = client.get("/lazy").unwrap();
    assert_eq!(
        (response.status, response.header("retry-after")),
        (503, Some("1"))
    );
    let response = client.get("/lazy").unwrap();
    assert_eq!((response.status, response.text()), (200, "built".into()));
}

#[test]
fn a_body_that_breaks_off_never_looks_whole() {
    let running = prefork("-w 1");
    let mut client = running.client();
    client
        .send("GET /broken HTTP/1.1\r\nhost: test\r\n\r\n")
        .unwrap();
    let (status, headers) = client.head().unwrap();
    assert_eq!(status, 200);
    let chunked = ("transfer-encoding".to_owned(), "chunked".to_owned());
    assert!(headers.contains(&chunked));
    let rest = client.rest().unwrap_or_default();
    assert!(!rest.ends_with(b"0\r\n\r\n"), "no last chunk");
}

#[test]
fn with_the_queue_full_the_next_request_is_503_and_a_client_that_leaves_costs_no_thread() {
    let _alone = alone();
    let running = prefork("-w 1 --thread-workers 1 --max-queued 1");
    let mut control = running.client();
    let hold = || {
        let mut client = running.client();
        client
            .send("GET /hold HTTP/1.1\r\nhost: test\r\n\r\n")
            .unwrap();
        client
    };
    let mut runs = hold();
    wait_for_stats(&mut control, |[busy, ..]| busy == 1);
    let waits = hold();
    wait_for_stats(&mut control, |[_, queued, _]| queued == 1);

    let mut refused = running.client();
    let before = std::time::Instant::now();
    let response = refused.get("/hold").unwrap();
    assert_eq!(
        (response.status, response.header("retry-after")),
        (503, Some("1"))
    );
    assert!(before.elapsed().as_millis() < 50, "{:?}", before.elapsed());

    drop(waits);
    wait_for_stats(&mut control, |[_, queued, _]| queued == 0);
    control.get("/open").unwrap();
    assert_eq!(runs.response().unwrap().text(), "held");
    wait_for_stats(&mut control, |[busy, ..]| busy == 0);
    assert_eq!(stats(&mut control)[2], 1, "the one that left never ran");
}

#[test]
fn a_client_that_closes_its_side_gets_its_response_on_a_pool_and_on_the_event_loop() {
    let running = prefork("-w 1");
    for path in ["/blocking/route_service", "/wait_for_body/route_service"] {
        for body in [
            "content-length: 5\r\n\r\nhello",
            "transfer-encoding: chunked\r\n\r\n5\r\nhello\r\n0\r\n\r\n",
        ] {
            let mut client = running.client();
            // Two, one behind the other.
            let get = format!("GET {path} HTTP/1.1\r\nhost: test\r\n\r\n");
            let post = format!("POST {path} HTTP/1.1\r\nhost: test\r\n{body}");
            client.send(get + &post).unwrap();
            client.close_write();
            for _ in 0..2 {
                assert_eq!(client.response().unwrap().status, 200, "{path} {body}");
            }
            assert!(client.rest().unwrap().is_empty());
        }
    }
    // What a thread makes while it is sent.
    let mut client = running.client();
    client
        .send("GET /large HTTP/1.1\r\nhost: test\r\n\r\n")
        .unwrap();
    client.close_write();
    assert_eq!(client.response().unwrap().body.len(), 8 << 20);
    assert!(client.rest().unwrap().is_empty());
}

#[test]
fn under_overload_the_requests_of_clients_that_have_closed_their_side_go_first() {
    let running = prefork("-w 1 --thread-workers 2 --max-queued 2000");
    let mut control = running.client();
    let ask = || {
        let mut client = running.client();
        client
            .send("GET /hold HTTP/1.1\r\nhost: test\r\n\r\n")
            .unwrap();
        client
    };
    let mut run = [ask(), ask()];
    wait_for_stats(&mut control, |stats| stats == [2, 0, 0]);
    let mut waits = ask();
    wait_for_stats(&mut control, |stats| stats == [2, 1, 0]);
    for _ in 0..900 {
        drop(ask());
    }
    // After the others, as they are accepted in this order.
    let mut listening: Vec<Client> = (0..100).map(|_| ask()).collect();
    for client in &mut listening {
        client.close_write();
    }
    for client in &mut listening {
        assert_eq!(client.response().unwrap().status, 503);
    }
    wait_for_stats(&mut control, |stats| stats == [2, 1, 0]);
    control.get("/open").unwrap();
    for client in run.iter_mut().chain([&mut waits]) {
        assert_eq!(client.response().unwrap().text(), "held");
    }
    wait_for_stats(&mut control, |stats| stats == [0, 0, 3]);
}

#[test]
fn clients_that_stop_reading_take_no_thread_once_the_response_is_produced() {
    const CLIENTS: usize = 200;
    let _alone = alone();
    let running = prefork("-w 1 --thread-workers 2");
    let mut control = running.client();
    let mut stalled: Vec<Client> = (0..CLIENTS)
        .map(|_| {
            let mut client = running.client();
            client
                .send("GET /large HTTP/1.1\r\nhost: test\r\n\r\n")
                .unwrap();
            client
        })
        .collect();
    // No client has read a byte, and all eight megabytes of each are produced.
    wait_for_stats(&mut control, |stats| stats == [0, 0, CLIENTS]);
    let whole = stalled[CLIENTS / 2].response().unwrap();
    let expected = (0..128_u8).flat_map(|n| std::iter::repeat_n(b'a' + n % 26, 64 << 10));
    assert!(whole.body.into_iter().eq(expected));
}
