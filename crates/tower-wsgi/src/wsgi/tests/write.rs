//! `write`: on a pool at once, on the event loop when the application returns.

use std::thread;

use super::*;

type None = std::iter::Empty<Piece>;

fn on_pool<A: Application>(
    pool: &BlockingPool,
    application: A,
) -> impl tower::Service<
    Request<BufferedBody>,
    Response = Response<Body>,
    Error = std::convert::Infallible,
> + Clone {
    BlockingLayer::new(pool).layer(WsgiService::new(application))
}

async fn next(body: &mut Body) -> String {
    let frame = tokio::time::timeout(LONG, body.frame()).await;
    let data = frame.unwrap().unwrap().unwrap().into_data().unwrap();
    String::from_utf8(data.into()).unwrap()
}

#[tokio::test]
async fn what_is_written_comes_before_what_is_returned() {
    let seen = get(|_, start_response: StartResponse| {
        let write = start_response.start("200 OK", PLAIN)?;
        write.write("a")?;
        write.write("")?;
        write.write("b")?;
        Ok::<_, BoxError>(stream([piece("c"), piece("d")]))
    })
    .await;
    assert_eq!((seen.status, seen.body), (200, Ok("abcd".into())));
}

#[tokio::test]
async fn a_host_can_ask_for_write_later_and_whether_the_head_is_final() {
    let seen = get(|_, start_response: StartResponse| {
        assert!(start_response.write().write("too early").is_err());
        start_response.start("200 OK", PLAIN)?;
        assert!(!start_response.is_sent());
        start_response.write().write("a")?;
        assert!(start_response.is_sent());
        Ok::<_, BoxError>(stream([piece("b")]))
    })
    .await;
    assert_eq!((seen.status, seen.body), (200, Ok("ab".into())));
}

#[tokio::test]
async fn what_is_written_while_the_body_is_iterated_comes_in_its_place() {
    for lazily in [false, true] {
        let seen = get(move |_, start_response: StartResponse| {
            let mut write = None;
            if !lazily {
                write = Some(start_response.start("200 OK", PLAIN)?);
            }
            let mut pieces = vec!["", "c", "b", "a"];
            Ok::<_, BoxError>(std::iter::from_fn(move || {
                let write = write.get_or_insert_with(|| {
                    let started = start_response.start("200 OK", PLAIN);
                    started.expect("it was not started yet")
                });
                let text = pieces.pop()?;
                let written = write.write(format!("({})", pieces.len()));
                Some(written.map(|()| Bytes::from(text)).map_err(Into::into))
            }))
        })
        .await;
        assert_eq!(seen.body, Ok("(3)a(2)b(1)c(0)".into()));
    }
}

#[tokio::test]
async fn on_a_pool_the_client_has_it_before_the_application_goes_on() {
    let (heard, wait) = mpsc::sync_channel(1);
    let wait = Mutex::new(wait);
    let pool = BlockingPool::new(1);
    let service = on_pool(&pool, move |_: Environ, start_response: StartResponse| {
        let write = start_response.start("200 OK", PLAIN)?;
        for text in ["one", "two", "three"] {
            write.write(text)?;
            wait.lock().unwrap().recv_timeout(LONG)?;
        }
        Ok::<_, BoxError>([piece("four")])
    });
    let response = tokio::time::timeout(LONG, service.oneshot(request(Method::GET)));
    let Ok(response) = response.await.unwrap();
    let mut body = response.into_body();
    for text in ["one", "two", "three"] {
        assert_eq!(next(&mut body).await, text);
        heard.send(()).unwrap();
    }
    assert_eq!(next(&mut body).await, "four");
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn on_the_event_loop_a_bounded_part_waits() {
    let service = WsgiService::new(|_, start_response: StartResponse| {
        let write = start_response.start("200 OK", PLAIN)?;
        let large = Bytes::from(vec![b'x'; 4 << 20]);
        write.write(large.clone())?;
        write.write(large.clone())?;
        let error = write.write("y").unwrap_err();
        assert!(error.to_string().contains("run it on a thread"), "{error}");
        Ok::<_, BoxError>([piece("z")])
    });
    let Ok(response) = service.oneshot(request(Method::GET)).await;
    let body = see(response).await.body.unwrap();
    assert_eq!(body.len(), (8 << 20) + 1);
    assert!(body.ends_with("xz"));
}

#[tokio::test]
async fn it_keeps_to_the_length() {
    let cut = get(|_, start_response: StartResponse| {
        let write = start_response.start("200 OK", [("content-length", "3")])?;
        write.write("ab")?;
        let error = write.write("cd").unwrap_err();
        assert!(error.to_string().contains("Content-Length"), "{error}");
        assert!(write.write("e").is_err());
        Ok::<_, BoxError>([piece("f")])
    })
    .await;
    assert_eq!((cut.length, cut.body), (Some(3), Ok("abc".into())));

    let short = get(|_, start_response: StartResponse| {
        let write = start_response.start("200 OK", [("content-length", "3")])?;
        write.write("a")?;
        Ok::<_, BoxError>([piece("b")])
    })
    .await;
    assert_eq!((short.length, short.body), (Some(3), Err("ab".into())));
}

#[tokio::test]
async fn when_it_has_met_the_length_no_piece_is_asked_for() {
    let counts = Counts::default();
    let theirs = counts.clone();
    let seen = get(move |_, start_response: StartResponse| {
        let write = start_response.start("200 OK", [("content-length", "2")])?;
        write.write("ab")?;
        Ok::<_, BoxError>(theirs.count([Err("nobody asks".into())]))
    })
    .await;
    assert_eq!(seen.body, Ok("ab".into()));
    assert_eq!((counts.asked(), counts.closed()), (0, 2));
}

#[tokio::test]
async fn it_sends_the_head_so_that_no_error_replaces_it() {
    let seen = get(|_, start_response: StartResponse| {
        let write = start_response.start("200 OK", PLAIN)?;
        write.write("part")?;
        let error: BoxError = "it failed".into();
        let error = start_response.restart("no status", PLAIN, error);
        assert_eq!(error.as_ref().unwrap_err().to_string(), "it failed");
        assert!(start_response.start("500 Oops", PLAIN).is_err());
        Ok::<_, BoxError>([Err(error.unwrap_err())])
    })
    .await;
    assert_eq!((seen.status, seen.body), (200, Err("part".into())));
}

#[tokio::test]
async fn an_error_or_a_panic_after_it_breaks_the_response_on_a_pool() {
    for panics in [false, true] {
        let pool = BlockingPool::new(1);
        let service = on_pool(&pool, move |_: Environ, start_response: StartResponse| {
            let write = start_response.start("200 OK", PLAIN)?;
            write.write("part")?;
            assert!(!panics, "as the test wants it");
            Err::<None, BoxError>("it failed".into())
        });
        let Ok(response) = service.oneshot(request(Method::GET)).await;
        let seen = see(response).await;
        assert_eq!((seen.status, seen.body), (200, Err("part".into())));
        pool.drain(LONG).await.unwrap();
    }
}

#[tokio::test]
async fn a_client_that_has_left_is_an_error_and_ends_the_job() {
    let (say, said) = mpsc::sync_channel(1);
    let (go, wait) = mpsc::sync_channel::<()>(1);
    let wait = Mutex::new(wait);
    let pool = BlockingPool::new(1);
    let service = on_pool(&pool, move |_: Environ, start_response: StartResponse| {
        let write = start_response.start("200 OK", PLAIN)?;
        write.write("part")?;
        wait.lock().unwrap().recv_timeout(LONG)?;
        let error = write.write("more").unwrap_err();
        say.send(error.kind()).unwrap();
        Err::<None, BoxError>(error.into())
    });
    let Ok(response) = service.oneshot(request(Method::GET)).await;
    let mut body = response.into_body();
    assert_eq!(next(&mut body).await, "part");
    drop(body);
    go.send(()).unwrap();
    assert_eq!(said.recv_timeout(LONG), Ok(io::ErrorKind::BrokenPipe));
    pool.drain(LONG).await.unwrap();
}

#[tokio::test]
async fn after_the_response_it_is_an_error() {
    let kept = Arc::new(Mutex::new(Vec::<Write>::new()));
    let theirs = Arc::clone(&kept);
    let seen = get(move |_, start_response: StartResponse| {
        let write = start_response.start("200 OK", PLAIN)?;
        theirs.lock().unwrap().push(write);
        Ok::<_, BoxError>([piece("all")])
    })
    .await;
    assert_eq!(seen.body, Ok("all".into()));
    let kept = kept.lock().unwrap();
    assert_eq!(kept.len(), 2);
    for write in &*kept {
        let error = write.write("late").unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::BrokenPipe);
    }
}

#[tokio::test]
async fn several_threads_of_an_application_may_write() {
    let seen = get(|_, start_response: StartResponse| {
        let write = start_response.start("200 OK", PLAIN)?;
        thread::scope(|scope| {
            for _ in 0..4 {
                scope.spawn(|| {
                    for _ in 0..100 {
                        write.write("x").unwrap();
                    }
                });
            }
        });
        Ok::<_, BoxError>(std::iter::empty())
    })
    .await;
    assert_eq!(seen.body, Ok("x".repeat(400)));
}
