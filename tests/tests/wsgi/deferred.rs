//! Responses that come later: no thread waits for them.

use tests::{Client, Running};

use crate::{response::ask, start};

/// Waits until there are as many listeners. Each call says something to them.
fn wait_for_listeners(running: &Running, count: usize) {
    let expected = format!("{count} listeners\n");
    let mut client = running.client();
    tests::wait_until(&format!("{count} listeners"), || {
        client.get("/say?.").unwrap().text() == expected
    });
}

#[test]
fn a_thread_serves_others_while_responses_wait() {
    for threads in [1, 0] {
        let running = start(threads, &[]);
        let mut listeners: Vec<Client> = (0..10).map(|_| running.client()).collect();
        for listener in &mut listeners {
            ask(listener, "GET", "/listen");
            assert_eq!(listener.head().unwrap().0, 200);
            assert_eq!(listener.chunk().unwrap(), b"listening\n");
        }
        let mut client = running.client();
        for text in ["one", "two"] {
            let said = client.get(&format!("/say?{text}")).unwrap();
            assert_eq!(said.text(), "10 listeners\n");
            for listener in &mut listeners {
                assert_eq!(listener.chunk().unwrap(), format!("{text}\n").as_bytes());
            }
        }
        listeners.truncate(3);
        wait_for_listeners(&running, 3);
    }
}

#[test]
fn a_response_that_does_not_come_in_time_is_504_and_is_cancelled() {
    for threads in [1, 0] {
        let running = start(threads, &["--request-timeout", "200ms"]);
        let mut client = running.client();
        assert_eq!(client.get("/listen?silently").unwrap().status, 504);
        wait_for_listeners(&running, 0);
    }
}
