//! What an application gives, as bytes on the connection.

use std::{fs::File, io::Write as _};

use rustix::fs::{CWD, FileType, Mode, mknodat};
use tests::Client;

use crate::{PLACES, start};

const SQUARES: &str = "1 squared is 1\n2 squared is 4\n3 squared is 9\n";

/// Sends a request of any method, without a body.
pub(crate) fn ask(client: &mut Client, method: &str, target: &str) {
    let request = format!("{method} {target} HTTP/1.1\r\nhost: test\r\n\r\n");
    client.send(request).unwrap();
}

fn field<'a>(headers: &'a [(String, String)], name: &str) -> Option<&'a str> {
    let field = headers.iter().find(|(field, _)| field == name);
    field.map(|(_, value)| value.as_str())
}

#[test]
fn one_piece_has_a_length_and_an_iterator_is_chunked_all_on_one_connection() {
    for threads in PLACES {
        let running = start(threads, &[]);
        let mut client = running.client();
        for _ in 0..2 {
            let about = client.get("/").unwrap();
            let length = about.body.len().to_string();
            assert_eq!(about.header("content-length"), Some(&*length));
            assert!(about.text().contains("PATH_INFO: /\n"));
            assert!(about.text().contains("REMOTE_ADDR: 127.0.0.1\n"));

            let squares = client.get("/squares?to=3").unwrap();
            assert_eq!(squares.header("transfer-encoding"), Some("chunked"));
            assert_eq!(squares.text(), SQUARES);

            let report = client.get("/report?to=3").unwrap();
            assert_eq!((report.status, report.text()), (200, SQUARES.into()));

            let empty = client.get("/squares").unwrap();
            assert_eq!(empty.header("content-length"), Some("0"));
            assert_eq!(client.get("/elsewhere").unwrap().status, 404);
        }
        // What is written is on its way before its length is known; on the event loop it is not.
        let chunked = client.get("/report?to=3").unwrap();
        let coding = chunked.header("transfer-encoding");
        assert_eq!(coding, (threads > 0).then_some("chunked"));
    }
}

#[test]
fn head_gets_the_same_head_and_nothing_else() {
    for threads in PLACES {
        let running = start(threads, &[]);
        let mut client = running.client();
        for (target, has_length) in [
            ("/", true),
            ("/squares?to=3", false),
            ("/report?to=3", false),
            ("/program", true),
            ("/elsewhere", true),
        ] {
            let whole = client.get(target).unwrap();
            ask(&mut client, "HEAD", target);
            let (status, headers) = client.head().unwrap();
            assert_eq!(status, whole.status, "{target}");
            let content_type = field(&headers, "content-type");
            assert_eq!(content_type, whole.header("content-type"), "{target}");
            if has_length && target != "/" {
                let length = field(&headers, "content-length");
                assert_eq!(length, whole.header("content-length"), "{target}");
            }
            // What follows is the next response.
            assert_eq!(client.get("/squares?to=3").unwrap().text(), SQUARES);
        }
    }
}

#[test]
fn a_file_is_sent_whole_with_its_length() {
    for threads in PLACES {
        let running = start(threads, &[]);
        let mut client = running.client();
        let program = client.get("/program").unwrap();
        let length = program.body.len().to_string();
        assert_eq!(program.header("content-length"), Some(&*length));
        assert!(program.body.starts_with(b"\x7fELF"));
        assert_eq!(client.get("/squares?to=3").unwrap().text(), SQUARES);
    }
}

#[test]
fn each_piece_is_on_the_wire_before_the_next_is_asked_for() {
    for threads in PLACES {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("news");
        mknodat(CWD, &path, FileType::Fifo, Mode::RUSR | Mode::WUSR, 0).unwrap();
        // Open for both, so that opening it does not wait for the other end.
        let mut news = File::options().read(true).write(true).open(&path).unwrap();

        let running = start(threads, &["--news", path.to_str().unwrap()]);
        let mut client = running.client();
        ask(&mut client, "GET", "/news");
        news.write_all(b"one\n").unwrap();
        let (status, _) = client.head().unwrap();
        assert_eq!(status, 200);
        // The application waits for the next line while the client has this one.
        for text in ["two\n", "three\n", "four\n"] {
            assert!(!client.chunk().unwrap().is_empty());
            assert!(!client.has_response(), "there is nothing to give");
            news.write_all(text.as_bytes()).unwrap();
        }
        assert_eq!(client.chunk().unwrap(), b"four\n");
        drop(news);
        assert_eq!(client.chunk().unwrap(), b"");
        assert_eq!(client.get("/squares?to=3").unwrap().text(), SQUARES);
    }
}

#[test]
fn an_error_before_the_first_piece_is_500_and_later_a_broken_connection() {
    for threads in PLACES {
        let running = start(threads, &[]);
        let mut client = running.client();
        let mut breaks = vec!["/squares?to=9&fail=3"];
        let mut fails = vec!["/squares?to=9&fail=1", "/report?to=9&fail=1"];
        // On the event loop what was written waits for the application to return.
        if threads > 0 {
            breaks.push("/report?to=9&fail=3");
        } else {
            fails.push("/report?to=9&fail=3");
        }
        for target in fails {
            let response = client.get(target).unwrap();
            assert_eq!(response.status, 500, "{target}");
            assert!(!response.text().contains("asked to fail"));
        }
        for target in breaks {
            let mut client = running.client();
            ask(&mut client, "GET", target);
            // The reset may overtake the head.
            if let Ok((status, headers)) = client.head() {
                assert_eq!(status, 200);
                assert_eq!(field(&headers, "transfer-encoding"), Some("chunked"));
            }
            let rest = client.rest().unwrap_or_default();
            assert!(!rest.ends_with(b"0\r\n\r\n"), "no last chunk");
        }
        running.wait_for("asked to fail");
        assert_eq!(client.get("/squares?to=3").unwrap().text(), SQUARES);
    }
}

#[test]
fn a_client_that_leaves_gives_its_thread_back() {
    for path in ["/squares", "/report"] {
        let running = start(1, &[]);
        let mut client = running.client();
        ask(&mut client, "GET", &format!("{path}?to=1000000000000"));
        assert_eq!(client.head().unwrap().0, 200);
        assert!(client.chunk().unwrap().starts_with(b"1 squared"));
        drop(client);
        let mut next = running.client();
        assert_eq!(next.get("/squares?to=3").unwrap().text(), SQUARES);
        assert!(!running.log().join("\n").contains("the application failed"));
    }
}
