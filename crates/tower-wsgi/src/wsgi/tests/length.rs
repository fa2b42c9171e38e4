//! `Content-Length`, and responses without a body.

use super::*;

fn long(length: &'static str, pieces: &'static [&'static str]) -> impl Application {
    move |_: Environ, start_response: StartResponse| {
        start_response.start("200 OK", [("content-length", length)])?;
        Ok::<_, BoxError>(stream(pieces.iter().map(|text| piece(text))))
    }
}

#[tokio::test]
async fn what_goes_over_the_length_is_not_sent() {
    for pieces in [&["abcdef"][..], &["ab", "cdef"], &["abc", "def"], &["abc"]] {
        let seen = get(long("3", pieces)).await;
        assert_eq!(
            (seen.length, seen.body),
            (Some(3), Ok("abc".into())),
            "{pieces:?}"
        );
    }
    let none = get(long("0", &["abc"])).await;
    assert_eq!(
        (none.status, none.length, none.body),
        (200, Some(0), Ok(String::new()))
    );
}

#[tokio::test]
async fn less_than_the_length_breaks_the_response() {
    let seen = get(long("5", &["ab", "c"])).await;
    assert_eq!((seen.length, seen.body), (Some(5), Err("abc".into())));
    assert_eq!(get(long("5", &[])).await.status, 500, "nothing was sent");
}

#[tokio::test]
async fn when_the_length_is_met_no_more_is_asked_for() {
    let counts = Counts::default();
    let theirs = counts.clone();
    let seen = get(move |_, start_response: StartResponse| {
        start_response.start("200 OK", [("content-length", "4")])?;
        let endless = theirs.count(std::iter::repeat_with(|| piece("ab")));
        Ok::<_, BoxError>(endless)
    })
    .await;
    assert_eq!(seen.body, Ok("abab".into()));
    assert_eq!(counts.asked(), 2 * 2, "on the loop and on the pool");
}

#[tokio::test]
async fn a_response_without_a_body_is_asked_for_one_piece_and_closed() {
    let cases = [
        (Method::HEAD, "200 OK", true),
        (Method::HEAD, "304 Not Modified", false),
        (Method::GET, "204 No Content", false),
        (Method::GET, "304 Not Modified", false),
    ];
    for (method, status, has_length) in cases {
        for written in [false, true] {
            let counts = Counts::default();
            let theirs = counts.clone();
            let seen = ask(method.clone(), move |_, start_response: StartResponse| {
                let write = start_response.start(status, [("x-a", "1")])?;
                if written {
                    write.write("never sent")?;
                }
                Ok::<_, BoxError>(theirs.count([piece("hello")]))
            })
            .await;
            assert_eq!(seen.status, status[..3].parse::<u16>().unwrap());
            assert_eq!((seen.length, seen.body), (Some(0), Ok(String::new())));
            assert_eq!(seen.headers["x-a"], "1");
            let length = seen.headers.get("content-length");
            if !written {
                assert_eq!(length.is_some_and(|length| length == "5"), has_length);
            }
            assert_eq!((counts.asked(), counts.closed()), (2, 2));
        }
    }
}

#[tokio::test]
async fn the_length_of_a_response_to_head_is_the_applications() {
    let own = ask(Method::HEAD, long("1000", &[])).await;
    assert_eq!((own.status, own.body), (200, Ok(String::new())));
    assert_eq!(own.headers["content-length"], "1000");

    let unknown = ask(Method::HEAD, |_, start_response: StartResponse| {
        start_response.start("200 OK", PLAIN)?;
        Ok::<_, BoxError>(stream([piece("ab")]))
    })
    .await;
    assert!(!unknown.headers.contains_key("content-length"));

    let none = ask(Method::HEAD, |_, start_response: StartResponse| {
        start_response.start("200 OK", PLAIN)?;
        Ok::<_, BoxError>([])
    })
    .await;
    assert!(
        !none.headers.contains_key("content-length"),
        "it may be left to the server"
    );
}
