//! The pool and its layer, with real threads.

mod deferred;
mod queue;
mod refused;
mod rejected;
mod streaming;
mod thread_guard;

use std::{
    convert::Infallible,
    panic::AssertUnwindSafe,
    pin::Pin,
    rc::Rc,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
        mpsc,
    },
    task::{Context, Poll},
    thread::{self, ThreadId},
    time::Duration,
};

use bytes::Bytes;
use futures_util::{FutureExt as _, future::join_all};
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode};
use http_body::{Body as _, Frame};
use http_body_util::BodyExt as _;
use tower::{ServiceBuilder, ServiceExt as _, service_fn};
use tower_http::catch_panic::CatchPanicLayer;
use tower_layer::Layer as _;

use super::{
    BlockingLayer, BlockingPool, blocking_fn,
    job::{Job, RequestInfo},
};
use crate::{
    Body, BoxError,
    test_helpers::{Frames, text},
};

/// More than any step here needs on the slowest machine.
const LONG: Duration = Duration::from_secs(60);

fn request() -> Request<Body> {
    Request::new(Body::empty())
}

/// A handler that reports its start, and returns when it is released.
struct HeldHandler {
    started: mpsc::Receiver<()>,
    release: mpsc::SyncSender<()>,
}

impl HeldHandler {
    fn started(&self) {
        self.started.recv_timeout(LONG).expect("a handler starts");
    }

    fn release(&self) {
        self.release.send(()).unwrap();
    }
}

type Handler<F> = super::Blocking<super::BlockingFn<F>>;

type Done = Result<Response<Body>, Infallible>;

fn held(
    pool: &BlockingPool,
) -> (
    HeldHandler,
    Handler<impl Fn(Request<Body>) -> Done + Clone + use<>>,
) {
    let (say, started) = mpsc::sync_channel(100);
    let (release, wait) = mpsc::sync_channel(100);
    let wait = Arc::new(Mutex::new(wait));
    let service = BlockingLayer::new(pool).layer(blocking_fn(move |_: Request<Body>| {
        say.send(()).unwrap();
        wait.lock().unwrap().recv_timeout(LONG).unwrap();
        Ok(Response::new(Body::from("done")))
    }));
    (HeldHandler { started, release }, service)
}

#[tokio::test]
async fn at_most_as_many_jobs_run_as_there_are_threads() {
    let pool = BlockingPool::new(3);
    let running = Arc::new(AtomicUsize::new(0));
    let most = Arc::new(AtomicUsize::new(0));
    let (count, top) = (Arc::clone(&running), Arc::clone(&most));
    let service = BlockingLayer::new(&pool).layer(blocking_fn(move |_: Request<Body>| {
        top.fetch_max(count.fetch_add(1, Ordering::SeqCst) + 1, Ordering::SeqCst);
        thread::yield_now();
        count.fetch_sub(1, Ordering::SeqCst);
        Ok::<_, Infallible>(Response::new(Body::empty()))
    }));
    let calls = (0..500).map(|_| service.clone().oneshot(request()));
    for response in join_all(calls).await {
        assert_eq!(response.unwrap().status(), StatusCode::OK);
    }
    assert!(most.load(Ordering::SeqCst) <= 3);
    pool.drain(LONG).await.unwrap();
    let stats = pool.stats();
    assert_eq!((stats.finished, stats.refused), (500, 0));
    assert_eq!((stats.busy, stats.queued, stats.oldest), (0, 0, None));
}

#[tokio::test]
async fn a_full_queue_is_503_at_once_and_two_layers_share_it() {
    let pool = BlockingPool::new(1).max_queued(1);
    let (first, service) = held(&pool);
    let (_second, other) = held(&pool);
    let running = tokio::spawn(service.clone().oneshot(request()));
    tokio::task::yield_now().await;
    first.started();
    let mut queued = std::pin::pin!(service.clone().oneshot(request()));
    assert!(futures_util::poll!(&mut queued).is_pending());
    assert_eq!((pool.stats().busy, pool.stats().queued), (1, 1));
    assert!(pool.stats().oldest.is_some());

    let refused = other.oneshot(request()).await.unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(refused.headers()["retry-after"], "1");
    assert_eq!(pool.stats().refused, 1);

    first.release();
    first.release();
    assert_eq!(text(running.await.unwrap().unwrap()).await, "done");
    assert_eq!(text(queued.await.unwrap()).await, "done");
}

#[tokio::test]
async fn a_client_that_leaves_the_queue_costs_no_thread() {
    let pool = BlockingPool::new(1);
    let (handler, service) = held(&pool);
    let running = tokio::spawn(service.clone().oneshot(request()));
    tokio::task::yield_now().await;
    handler.started();
    {
        let queued = service.clone().oneshot(request());
        assert!(queued.now_or_never().is_none());
    }
    assert_eq!(pool.stats().queued, 0, "it has left the queue");
    handler.release();
    running.await.unwrap().unwrap();
    pool.drain(LONG).await.unwrap();
    assert_eq!(pool.stats().finished, 1, "it never ran");
}

#[tokio::test]
async fn a_client_that_leaves_a_running_job_does_not_free_its_thread() {
    let pool = BlockingPool::new(1).max_queued(0);
    let (handler, service) = held(&pool);
    let running = tokio::spawn(service.clone().oneshot(request()));
    tokio::task::yield_now().await;
    handler.started();
    running.abort();
    assert!(running.await.unwrap_err().is_cancelled());
    let refused = service.clone().oneshot(request()).await.unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    handler.release();
    pool.drain(LONG).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_job_that_waits_too_long_is_503_and_does_not_run() {
    let pool = BlockingPool::new(1).queue_timeout(Duration::from_secs(5));
    let (handler, service) = held(&pool);
    let running = tokio::spawn(service.clone().oneshot(request()));
    tokio::task::yield_now().await;
    handler.started();
    let mut queued = std::pin::pin!(service.clone().oneshot(request()));
    assert!(futures_util::poll!(&mut queued).is_pending());
    tokio::time::advance(Duration::from_secs(4)).await;
    assert!(futures_util::poll!(&mut queued).is_pending());
    tokio::time::advance(Duration::from_millis(1100)).await;
    let refused = queued.await.unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    assert_eq!(pool.stats().queued, 0);
    assert_eq!(pool.stats().refused, 1);

    // The running job has no timeout, since nothing could stop it.
    tokio::time::advance(Duration::from_secs(100)).await;
    handler.release();
    assert_eq!(running.await.unwrap().unwrap().status(), StatusCode::OK);
    while pool.stats().finished < 1 {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_panic_unwinds_into_the_future_and_leaves_the_pool_whole() {
    let pool = BlockingPool::new(1);
    let service = BlockingLayer::new(&pool).layer(blocking_fn(
        |request: Request<Body>| -> Result<Response<Body>, Infallible> {
            assert!(request.uri().path() != "/panic", "boom");
            Ok(Response::new(Body::from("fine")))
        },
    ));
    let bad = || Request::get("/panic").body(Body::empty()).unwrap();
    let panic = AssertUnwindSafe(service.clone().oneshot(bad())).catch_unwind();
    assert_eq!(panic.await.unwrap_err().downcast_ref(), Some(&"boom"));

    let caught = ServiceBuilder::new()
        .layer(CatchPanicLayer::new())
        .service(service);
    let response = caught.clone().oneshot(bad()).await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    let response = caught.oneshot(request()).await.unwrap();
    assert_eq!(response.status(), StatusCode::OK);
}

#[tokio::test]
async fn a_panic_that_ends_its_thread_leaks_no_slot() {
    struct Bomb;
    impl Drop for Bomb {
        fn drop(&mut self) {
            panic!("a panic's payload panics");
        }
    }
    let pool = BlockingPool::new(1).max_queued(0);
    let job = Job {
        request: RequestInfo::default(),
        work: Box::new(|_| std::panic::panic_any(Bomb)),
    };
    let mut ticket = pool.submit(job).ok().expect("there is room");
    let ended = async {
        while pool.stats().busy > 0 || pool.stats().finished < 1 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(LONG, ended).await.unwrap();
    ticket.done();
    let service = streaming(&pool, || Frames::new(["done"]));
    let response = service.oneshot(request()).await.unwrap();
    assert_eq!(text(response).await, "done");
}

/// A body that is not `Send` and remembers which thread polled it.
struct LocalBody {
    chunks: usize,
    threads: Arc<Mutex<Vec<ThreadId>>>,
    _not_send: Rc<()>,
}

impl http_body::Body for LocalBody {
    type Data = Bytes;
    type Error = Infallible;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, Infallible>>> {
        self.threads.lock().unwrap().push(thread::current().id());
        if self.chunks == 0 {
            return Poll::Ready(None);
        }
        self.chunks -= 1;
        Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"chunk ")))))
    }
}

#[tokio::test]
async fn call_future_and_body_run_on_the_pool_and_need_not_be_send() {
    let threads = Arc::new(Mutex::new(Vec::new()));
    let seen = Arc::clone(&threads);
    let service = service_fn(move |_: Request<Body>| {
        let threads = Arc::clone(&seen);
        let not_send = Rc::new(());
        async move {
            tokio::time::sleep(Duration::from_millis(1)).await;
            threads.lock().unwrap().push(thread::current().id());
            Ok::<_, Infallible>(Response::new(LocalBody {
                chunks: 3,
                threads,
                _not_send: not_send,
            }))
        }
    });
    let service = BlockingLayer::new(&BlockingPool::new(1)).layer(service);
    let response = service.oneshot(request()).await.unwrap();
    assert_eq!(text(response).await, "chunk chunk chunk ");
    let threads = threads.lock().unwrap();
    assert_eq!(threads.len(), 5);
    assert!(threads.iter().all(|id| *id == threads[0]));
    assert_ne!(threads[0], thread::current().id());
}

fn streaming<B: Fn() -> Frames + Clone + Send + 'static>(
    pool: &BlockingPool,
    body: B,
) -> Handler<impl Fn(Request<Body>) -> Result<Response<Frames>, Infallible> + Clone + use<B>> {
    BlockingLayer::new(pool).layer(blocking_fn(move |_| Ok(Response::new(body()))))
}

#[tokio::test]
async fn a_client_that_does_not_read_holds_no_thread() {
    let pool = BlockingPool::new(1);
    let chunk = |n: usize| format!("{n:0>9999};");
    let service = streaming(&pool, move || Frames::new((0..800).map(chunk)));
    let response = service.clone().oneshot(request()).await.unwrap();
    // Nothing is read, and the thread has produced all eight megabytes.
    pool.clone().drain(LONG).await.unwrap();
    assert_eq!(pool.stats().finished, 1);
    let whole: String = (0..800).map(chunk).collect();
    assert!(
        text(response).await == whole,
        "memory first, then disk, in order"
    );
}

#[tokio::test]
async fn without_disk_space_the_thread_waits_for_its_reader() {
    let pool = BlockingPool::new(1).max_spooled(300_000);
    let service = streaming(&pool, || {
        Frames::new((0..40).map(|n| format!("{n:0>49999};")))
    });
    let response = service.oneshot(request()).await.unwrap();
    assert_eq!(pool.stats().busy, 1);
    assert_eq!(text(response).await.len(), 2_000_000);
    pool.drain(LONG).await.unwrap();
}

#[tokio::test]
async fn a_reader_that_leaves_ends_the_body() {
    let pool = BlockingPool::new(1).max_spooled(0);
    let service = streaming(&pool, || {
        Frames::new((0..40).map(|n| format!("{n:0>49999};")))
    });
    let response = service.oneshot(request()).await.unwrap();
    drop(response);
    pool.drain(LONG).await.unwrap();
}

#[tokio::test]
async fn one_piece_keeps_its_length_and_a_declared_length_goes_on() {
    let pool = BlockingPool::new(1);
    let one = BlockingLayer::new(&pool).layer(blocking_fn(|_: Request<Body>| {
        Ok::<_, Infallible>(Response::new(Body::from("hello")))
    }));
    let response = one.oneshot(request()).await.unwrap();
    assert_eq!(response.body().size_hint().exact(), Some(5));

    let many = streaming(&pool, || Frames::new(["ab", "cd"]).declaring(4));
    let response = many.oneshot(request()).await.unwrap();
    let mut body = response.into_body();
    assert_eq!(body.size_hint().exact(), Some(4));
    body.frame().await.unwrap().unwrap();
    assert_eq!(body.size_hint().exact(), Some(2));
}

#[tokio::test]
async fn trailers_arrive_after_the_data() {
    let mut trailers = HeaderMap::new();
    trailers.insert("checksum", HeaderValue::from_static("abc"));
    let sent = trailers.clone();
    let service = streaming(&BlockingPool::new(1), move || {
        Frames::new(["ab", "cd"]).trailers(sent.clone())
    });
    let body = service.oneshot(request()).await.unwrap().into_body();
    let collected = body.collect().await.unwrap();
    assert_eq!(collected.trailers(), Some(&trailers));
    assert_eq!(collected.to_bytes(), "abcd");
}

#[tokio::test]
async fn a_body_that_fails_at_once_is_500_and_later_a_broken_end() {
    let pool = BlockingPool::new(1);
    let at_once = streaming(&pool, || Frames::new([""; 0]).error("no database"));
    let response = at_once.oneshot(request()).await.unwrap();
    assert_eq!(response.status(), StatusCode::INTERNAL_SERVER_ERROR);
    assert!(!text(response).await.contains("database"));

    let later = streaming(&pool, || Frames::new(["ab"]).error("no database"));
    let mut body = later.oneshot(request()).await.unwrap().into_body();
    assert_eq!(
        body.frame().await.unwrap().unwrap().into_data().unwrap(),
        "ab"
    );
    assert!(!body.is_end_stream());
    assert!(body.frame().await.unwrap().is_err());
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn a_body_that_panics_is_a_broken_end() {
    struct Panics(bool);
    impl http_body::Body for Panics {
        type Data = Bytes;
        type Error = BoxError;
        fn poll_frame(
            mut self: Pin<&mut Self>,
            _: &mut Context<'_>,
        ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
            assert!(!std::mem::replace(&mut self.0, true), "in the middle");
            Poll::Ready(Some(Ok(Frame::data(Bytes::from_static(b"ab")))))
        }
    }
    let pool = BlockingPool::new(1);
    let service = BlockingLayer::new(&pool).layer(blocking_fn(|_: Request<Body>| {
        Ok::<_, Infallible>(Response::new(Panics(false)))
    }));
    let response = service.clone().oneshot(request()).await.unwrap();
    assert!(response.into_body().collect().await.is_err());
    assert!(
        service.oneshot(request()).await.is_ok(),
        "the pool is whole"
    );
}

#[tokio::test]
async fn drain_refuses_new_jobs_and_waits_for_the_others() {
    let pool = BlockingPool::new(1);
    let (handler, service) = held(&pool);
    let running = tokio::spawn(service.clone().oneshot(request()));
    let queued = tokio::spawn(service.clone().oneshot(request()));
    tokio::task::yield_now().await;
    handler.started();
    let mut drain = std::pin::pin!(pool.drain(LONG));
    assert!(futures_util::poll!(&mut drain).is_pending());
    let refused = service.oneshot(request()).await.unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    handler.release();
    handler.release();
    drain.await.unwrap();
    for job in [running, queued] {
        assert_eq!(job.await.unwrap().unwrap().status(), StatusCode::OK);
    }
}

#[tokio::test]
async fn drain_gives_up_at_its_deadline() {
    let pool = BlockingPool::new(1);
    let (handler, service) = held(&pool);
    let running = tokio::spawn(service.clone().oneshot(request()));
    let queued = tokio::spawn(service.clone().oneshot(request()));
    tokio::task::yield_now().await;
    handler.started();
    let left = pool.drain(Duration::from_millis(1)).await.unwrap_err();
    assert_eq!((left.busy, left.queued), (1, 1));
    let refused = queued.await.unwrap().unwrap();
    assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    handler.release();
    assert_eq!(running.await.unwrap().unwrap().status(), StatusCode::OK);
}

#[test]
fn a_pool_outlives_its_runtime() {
    let pool = BlockingPool::new(1);
    let (handler, service) = held(&pool);
    for _ in 0..2 {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .unwrap();
        handler.release();
        let response = runtime.block_on(service.clone().oneshot(request()));
        assert_eq!(response.unwrap().status(), StatusCode::OK);
        handler.started();
    }
}

#[test]
#[should_panic(expected = "at least one thread")]
fn a_pool_without_threads_is_a_mistake() {
    let _ = BlockingPool::new(0);
}

#[tokio::test]
async fn a_running_job_that_is_no_longer_awaited_is_known_by_its_request_and_its_thread() {
    let pool = BlockingPool::new(2).thread_name("worker-thread");
    let (held, service) = held(&pool);
    let mut running = Vec::new();
    for path in ["/report?of=may", "/other"] {
        let request = Request::post(path).body(Body::empty()).unwrap();
        running.push(tokio::spawn(service.clone().oneshot(request)));
        tokio::task::yield_now().await;
        held.started();
    }
    assert_eq!(pool.stats().stuck, []);
    for given_up in running {
        given_up.abort();
        assert!(given_up.await.unwrap_err().is_cancelled());
    }
    let jobs = pool.stats().stuck;
    let paths: Vec<_> = jobs.iter().map(|job| &*job.path).collect();
    assert_eq!(paths, ["/report", "/other"]);
    assert!(jobs.iter().all(|job| job.method == "POST"));
    let threads: Vec<_> = jobs.iter().map(|job| &*job.thread).collect();
    assert_eq!(threads, ["worker-thread-1", "worker-thread-2"]);

    held.release();
    held.release();
    pool.drain(LONG).await.unwrap();
    assert_eq!(pool.stats().stuck, []);
}

#[tokio::test]
async fn a_body_that_is_being_sent_is_waited_for() {
    let pool = BlockingPool::new(1);
    let (more, wait) = mpsc::sync_channel::<Bytes>(1);
    let wait = Arc::new(Mutex::new(wait));
    let service = BlockingLayer::new(&pool).layer(blocking_fn(move |_: Request<Body>| {
        let wait = Arc::clone(&wait);
        let frames = std::iter::from_fn(move || wait.lock().unwrap().recv_timeout(LONG).ok());
        let frames = frames.map(|bytes| Ok::<_, Infallible>(Frame::data(bytes)));
        let body = http_body_util::StreamBody::new(futures_util::stream::iter(frames));
        Ok::<_, Infallible>(Response::new(body))
    }));
    more.send(Bytes::from_static(b"first")).unwrap();
    let response = service.oneshot(request()).await.unwrap();
    assert_eq!((pool.stats().busy, pool.stats().stuck), (1, vec![]));
    more.send(Bytes::from_static(b", last")).unwrap();
    drop(more);
    assert_eq!(text(response).await, "first, last");
}
