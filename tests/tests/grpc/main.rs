//! The gRPC service (`examples/grpc`) beside axum routes and a WSGI application, on two workers.

use tests::{Running, Signal, program};

fn start() -> Running {
    program("grpc")
        .args("-b 127.0.0.1:0 -w 2 --thread-workers 2")
        .start()
}

/// What the client prints about the calls of all methods.
fn call_all(running: &Running) -> String {
    let url = format!("http://{}", running.ready());
    let (status, printed) = program("grpc-client").arg(url).run();
    assert_eq!(status, Some(0), "{printed}");
    printed
}

#[test]
fn each_kind_of_method_responds_with_its_status_and_trailers() {
    let running = start();
    let printed = call_all(&running);
    let has = |text: &str| assert!(printed.contains(text), "{text:?} in {printed}");
    has("now: ");
    assert_eq!(printed.matches("tick: ").count(), 3, "{printed}");
    has("total: 60 ms");
    has("split: 10 ms\nsplit: 30 ms\nsplit: 60 ms\n");
    has("refused: InvalidArgument, times is 4294967295, and at most 100000");
}

#[test]
fn the_other_paths_are_axums_and_the_applications() {
    let running = start();
    let mut client = running.client();
    assert_eq!(client.get("/health").unwrap().text(), "ok\n");
    let greeting = client.get("/anything").unwrap().text();
    assert_eq!(greeting, "this is /anything over HTTP/1.1\n");
}

#[test]
fn calls_go_on_after_a_reload() {
    let running = start();
    call_all(&running);
    running.signal(Signal::HUP);
    running.wait_for("reloaded");
    call_all(&running);
}
