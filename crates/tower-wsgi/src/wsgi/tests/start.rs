//! `start_response`: once, lazily, again with an error, wrongly, never.

use super::*;

#[tokio::test]
async fn the_response_is_what_was_started_and_given() {
    let seen = get(|_, start_response: StartResponse| {
        let head = [("x-a", "1"), ("set-cookie", "a"), ("set-cookie", "b")];
        start_response.start("201 Created", head)?;
        Ok::<_, BoxError>(stream([piece("ab"), piece(""), piece("cd")]))
    })
    .await;
    assert_eq!((seen.status, seen.body), (201, Ok("abcd".into())));
    assert_eq!(seen.headers["x-a"], "1");
    assert_eq!(seen.headers.get_all("set-cookie").iter().count(), 2);
    assert_eq!(seen.length, None);
}

#[tokio::test]
async fn the_reason_is_kept() {
    let service = WsgiService::new(|_, start_response: StartResponse| {
        start_response.start("299 My Reason", PLAIN)?;
        Ok::<_, BoxError>([piece("x")])
    });
    let Ok(response) = service.oneshot(request(Method::GET)).await;
    let reason = response.extensions().get::<hyper::ext::ReasonPhrase>();
    assert_eq!(reason.unwrap().as_bytes(), b"My Reason");
}

#[tokio::test]
async fn a_body_in_one_piece_has_a_length_and_so_has_an_empty_one() {
    let one = get(|_, start_response: StartResponse| {
        start_response.start("200 OK", PLAIN)?;
        Ok::<_, BoxError>([piece("hello")])
    })
    .await;
    assert_eq!((one.length, one.body), (Some(5), Ok("hello".into())));

    let empties: [&[&'static str]; 3] = [&[], &[""], &["", ""]];
    for empty in empties {
        let none = get(move |_, start_response: StartResponse| {
            start_response.start("200 OK", PLAIN)?;
            Ok::<_, BoxError>(stream(empty.iter().map(|text| piece(text))))
        })
        .await;
        assert_eq!((none.length, none.body), (Some(0), Ok(String::new())));
    }
}

#[tokio::test]
async fn it_may_start_when_it_is_asked_for_its_first_piece() {
    let seen = get(|_, start_response: StartResponse| {
        let mut pieces = vec!["last", "first", ""];
        Ok::<_, BoxError>(std::iter::from_fn(move || {
            let text = pieces.pop()?;
            if text == "first"
                && let Err(error) = start_response.start("202 Accepted", PLAIN)
            {
                return Some(Err(error.into()));
            }
            Some(piece(text))
        }))
    })
    .await;
    assert_eq!((seen.status, seen.body), (202, Ok("firstlast".into())));
}

#[tokio::test]
async fn a_second_start_is_an_error_and_changes_nothing() {
    let seen = get(|_, start_response: StartResponse| {
        start_response.start("200 OK", [("x-a", "1")])?;
        let error = start_response.start("404 Not Found", [("x-b", "2")]);
        assert_eq!(error.unwrap_err(), StartError::CalledTwice);
        Ok::<_, BoxError>([piece("fine")])
    })
    .await;
    assert_eq!((seen.status, seen.body), (200, Ok("fine".into())));
    assert!(seen.headers.contains_key("x-a") && !seen.headers.contains_key("x-b"));
}

#[tokio::test]
async fn an_error_replaces_status_and_all_headers_before_they_are_sent() {
    let seen = get(|_, start_response: StartResponse| {
        start_response.start("200 OK", [("x-a", "1"), ("content-length", "1")])?;
        let error: BoxError = "it failed".into();
        start_response.restart("500 Oops", [("x-b", "2")], error)?;
        Ok::<_, BoxError>([piece("an error page")])
    })
    .await;
    assert_eq!((seen.status, seen.length), (500, Some(13)));
    assert_eq!(seen.body, Ok("an error page".into()));
    assert!(!seen.headers.contains_key("x-a") && seen.headers.contains_key("x-b"));
    assert!(!seen.headers.contains_key("content-length"));
}

#[tokio::test]
async fn an_error_may_start_the_response() {
    let seen = get(|_, start_response: StartResponse| {
        let error: BoxError = "it failed".into();
        start_response.restart("500 Oops", PLAIN, error)?;
        Ok::<_, BoxError>([piece("page")])
    })
    .await;
    assert_eq!((seen.status, seen.body), (500, Ok("page".into())));
}

#[tokio::test]
async fn an_error_comes_back_when_the_headers_are_sent() {
    let seen = get(|_, start_response: StartResponse| {
        start_response.start("200 OK", PLAIN)?;
        let mut asked = 0;
        Ok::<_, BoxError>(std::iter::from_fn(move || {
            asked += 1;
            if asked == 1 {
                return Some(piece("part"));
            }
            let error: BoxError = "it failed".into();
            let error = start_response.restart("500 Oops", PLAIN, error);
            Some(Err(error.expect_err("it is too late")))
        }))
    })
    .await;
    assert_eq!((seen.status, seen.body), (200, Err("part".into())));
}

#[tokio::test]
async fn a_restart_that_is_wrong_leaves_nothing_of_what_there_was() {
    let seen = get(|_, start_response: StartResponse| {
        start_response.start("200 OK", PLAIN)?;
        let error: BoxError = "it failed".into();
        let wrong = start_response.restart("5", PLAIN, error).unwrap_err();
        assert!(wrong.downcast_ref::<StartError>().is_some());
        Ok::<_, BoxError>([piece("not so fine")])
    })
    .await;
    assert_eq!(seen.status, 500);
}

#[tokio::test]
async fn without_a_start_or_with_a_wrong_one_it_is_500() {
    let never = |pieces: &'static [&'static str]| {
        move |_: Environ, _: StartResponse| {
            Ok::<_, BoxError>(stream(pieces.iter().map(|text| piece(text))))
        }
    };
    assert_eq!(get(never(&["x"])).await.status, 500);
    assert_eq!(get(never(&[])).await.status, 500);

    let wrong = get(|_, start_response: StartResponse| {
        start_response.start("200 OK", [("connection", "close")])?;
        Ok::<_, BoxError>([piece("x")])
    })
    .await;
    assert_eq!(wrong.status, 500);
    let page = wrong.body.unwrap();
    assert!(!page.contains("connection"), "the client learns nothing");
}

#[tokio::test]
async fn an_error_before_the_first_piece_is_500_and_later_a_broken_end() {
    let in_the_call = get(|_, start_response: StartResponse| {
        start_response.start("200 OK", PLAIN)?;
        Err::<[Piece; 1], BoxError>("no database".into())
    })
    .await;
    assert_eq!(in_the_call.status, 500);

    let fails_after = |pieces: &'static [&'static str]| {
        move |_: Environ, start_response: StartResponse| {
            start_response.start("200 OK", PLAIN)?;
            let pieces = pieces.iter().map(|text| piece(text));
            Ok::<_, BoxError>(stream(pieces.chain([Err("no database".into())])))
        }
    };
    assert_eq!(get(fails_after(&[])).await.status, 500);
    assert_eq!(get(fails_after(&["", ""])).await.status, 500);
    let seen = get(fails_after(&["a", "b"])).await;
    assert_eq!((seen.status, seen.body), (200, Err("ab".into())));
}

#[tokio::test]
async fn on_the_event_loop_the_server_has_its_turn_after_each_piece() {
    let service = WsgiService::new(|_, start_response: StartResponse| {
        start_response.start("200 OK", PLAIN)?;
        Ok::<_, BoxError>([piece("a"), piece("b"), piece("c")])
    });
    let Ok(response) = service.oneshot(request(Method::GET)).await;
    let mut body = response.into_body();
    let mut polls = String::new();
    let wakes = Arc::new(Wakes::default());
    let waker = Waker::from(Arc::clone(&wakes));
    while !body.is_end_stream() {
        match Pin::new(&mut body).poll_frame(&mut Context::from_waker(&waker)) {
            Poll::Pending => polls.push('-'),
            Poll::Ready(frame) => {
                let data = frame.unwrap().unwrap().into_data().unwrap();
                polls.push_str(str::from_utf8(&data).unwrap());
            }
        }
    }
    assert_eq!(polls, "a-b-c");
    assert_eq!(wakes.0.load(SeqCst), 2, "it asks to be polled again");
}

#[derive(Default)]
struct Wakes(AtomicUsize);

impl std::task::Wake for Wakes {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, SeqCst);
    }
}
