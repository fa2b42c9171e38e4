//! A file as the body.

use std::{
    fs::File,
    io::{Read as _, Seek as _, SeekFrom, Write as _},
};

use super::*;

fn file(text: &str) -> File {
    let mut file = tempfile::tempfile().unwrap();
    file.write_all(text.as_bytes()).unwrap();
    file.rewind().unwrap();
    file
}

#[tokio::test]
async fn the_rest_of_a_file_is_the_body_and_says_its_length() {
    for (position, expected) in [(0, "0123456789"), (4, "456789"), (10, ""), (99, "")] {
        let seen = get(move |_, start_response: StartResponse| {
            start_response.start("200 OK", PLAIN)?;
            let mut file = file("0123456789");
            file.seek(SeekFrom::Start(position))?;
            start_response.send_file(file)?;
            Ok::<_, BoxError>([piece("never asked for")])
        })
        .await;
        assert_eq!(seen.length, Some(expected.len() as u64));
        assert_eq!(seen.body, Ok(expected.into()));
    }
}

#[tokio::test]
async fn the_length_chooses_a_part_of_it() {
    let seen = get(|_, start_response: StartResponse| {
        let length = [("content-length", "3"), ("content-range", "bytes 2-4/10")];
        start_response.start("206 Partial Content", length)?;
        let mut file = file("0123456789");
        file.read_exact(&mut [0; 2])?;
        start_response.send_file(file)?;
        Ok::<_, BoxError>([])
    })
    .await;
    assert_eq!((seen.status, seen.length), (206, Some(3)));
    assert_eq!(seen.body, Ok("234".into()));
}

#[tokio::test]
async fn a_file_that_is_too_short_is_500_and_one_that_becomes_so_breaks_the_response() {
    let seen = get(|_, start_response: StartResponse| {
        start_response.start("200 OK", [("content-length", "11")])?;
        start_response.send_file(file("0123456789"))?;
        Ok::<_, BoxError>([])
    })
    .await;
    assert_eq!(seen.status, 500);

    let seen = get(|_, start_response: StartResponse| {
        start_response.start("200 OK", PLAIN)?;
        let file = file("0123456789");
        start_response.send_file(file.try_clone()?)?;
        file.set_len(5)?;
        Ok::<_, BoxError>([])
    })
    .await;
    assert_eq!((seen.status, seen.length), (200, Some(10)));
    assert!(seen.body.is_err());
}

#[tokio::test]
async fn a_response_to_head_says_how_long_the_file_is() {
    let seen = ask(Method::HEAD, |_, start_response: StartResponse| {
        start_response.start("200 OK", PLAIN)?;
        start_response.send_file(file("0123456789"))?;
        Ok::<_, BoxError>([])
    })
    .await;
    assert_eq!(seen.headers["content-length"], "10");
    assert_eq!(seen.body, Ok(String::new()));
}

#[tokio::test]
async fn it_needs_a_start_as_well() {
    let seen = get(|_, start_response: StartResponse| {
        start_response.send_file(file("0123456789"))?;
        Ok::<_, BoxError>([])
    })
    .await;
    assert_eq!(seen.status, 500);
}

#[tokio::test]
async fn only_a_regular_file_can_be_sent() {
    let seen = get(|_, start_response: StartResponse| {
        start_response.start("200 OK", PLAIN)?;
        for other in ["/", "/dev/null"] {
            let error = start_response.send_file(File::open(other)?).unwrap_err();
            assert_eq!(error.kind(), io::ErrorKind::InvalidInput);
        }
        Ok::<_, BoxError>([piece("in pieces")])
    })
    .await;
    assert_eq!(seen.body, Ok("in pieces".into()));
}

#[tokio::test]
async fn a_file_and_a_write_do_not_go_together() {
    let seen = get(|_, start_response: StartResponse| {
        let write = start_response.start("200 OK", PLAIN)?;
        write.write("part, ")?;
        assert!(start_response.send_file(file("0123456789")).is_err());
        Ok::<_, BoxError>([piece("and the rest")])
    })
    .await;
    assert_eq!(seen.body, Ok("part, and the rest".into()));

    let seen = get(|_, start_response: StartResponse| {
        let write = start_response.start("200 OK", PLAIN)?;
        start_response.send_file(file("0123456789"))?;
        assert!(write.write("part").is_err());
        Ok::<_, BoxError>([])
    })
    .await;
    assert_eq!(seen.body, Ok("0123456789".into()));
}

#[tokio::test]
async fn an_error_replaces_the_file_as_well() {
    let seen = get(|_, start_response: StartResponse| {
        start_response.start("200 OK", PLAIN)?;
        start_response.send_file(file("0123456789"))?;
        let error: BoxError = "it failed".into();
        start_response.restart("500 Oops", PLAIN, error)?;
        Ok::<_, BoxError>([piece("an error page")])
    })
    .await;
    assert_eq!((seen.status, seen.body), (500, Ok("an error page".into())));
}

#[tokio::test]
async fn it_holds_no_thread_of_a_pool_and_is_not_copied() {
    // No byte of a body may be written to disk.
    let pool = BlockingPool::new(1).max_spooled(0);
    let application = |_: Environ, start_response: StartResponse| {
        start_response.start("200 OK", PLAIN)?;
        start_response.send_file(file(&"x".repeat(1 << 20)))?;
        Ok::<_, BoxError>([])
    };
    let service = BlockingLayer::new(&pool).layer(WsgiService::new(application));
    let Ok(response) = service.oneshot(request(Method::GET)).await;
    // No byte was read.
    pool.drain(LONG).await.unwrap();
    let seen = see(response).await;
    assert_eq!(seen.length, Some(1 << 20));
    assert_eq!(seen.body.unwrap().len(), 1 << 20);
}
