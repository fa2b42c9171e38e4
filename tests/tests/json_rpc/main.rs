//! JSON-RPC by jsonrpsee beside axum and WSGI (`examples/json-rpc`), on several workers.

use std::{collections::HashSet, net::SocketAddr};

use serde_json::{Value, json};
use tests::{Client, PATIENCE, Response, Running, Signal, program, wait_until};

fn start(options: &str) -> Running {
    program("json-rpc")
        .args("-b 127.0.0.1:0")
        .args(options)
        .start()
}

fn post(body: &str) -> String {
    let length = body.len();
    format!(
        "POST /rpc HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ncontent-length: {length}\r\n\r\n{body}"
    )
}

fn call_on(client: &mut Client, request: &Value) -> Response {
    client.send(post(&request.to_string())).unwrap();
    client.response().unwrap()
}

/// Sends a request on a connection of its own; gives the JSON that comes back.
fn call(address: SocketAddr, request: &Value) -> Value {
    let response = call_on(&mut Client::connect(address), request);
    assert_eq!(response.status, 200, "{response:?}");
    serde_json::from_slice(&response.body).expect("JSON")
}

fn request(method: &str, params: &Value, id: u32) -> Value {
    json!({"jsonrpc": "2.0", "method": method, "params": params, "id": id})
}

#[test]
fn methods_routes_and_the_application_are_served_beside_each_other() {
    let running = start("-w 2 --thread-workers 2");
    let address = running.ready();
    let reply = call(address, &request("math.divide", &json!([7, 2]), 1));
    assert_eq!(reply, json!({"jsonrpc": "2.0", "result": 3.5, "id": 1}));
    let named = json!({"b": 2, "a": 7});
    let reply = call(address, &request("math.divide", &named, 2));
    assert_eq!(reply["result"], 3.5);
    // It computes on a thread of the pool.
    let reply = call(address, &request("math.primes", &json!([1000]), 3));
    assert_eq!(reply["result"], 168);

    let mut client = Client::connect(address);
    assert_eq!(client.get("/health").unwrap().body, b"ok");
    let page = client.get("/").unwrap();
    let text = String::from_utf8(page.body).unwrap();
    assert!(
        text.starts_with("POST JSON-RPC 2.0 to http://test/rpc\n"),
        "{text}"
    );
    assert_eq!(client.get("/elsewhere").unwrap().status, 404);
    let refused = client.get("/rpc").unwrap();
    assert_eq!(
        (refused.status, refused.header("allow")),
        (405, Some("POST"))
    );
}

#[test]
fn each_worker_responds() {
    let running = start("-w 2 --thread-workers 1");
    let address = running.ready();
    let mut clients = Vec::new();
    let mut workers = HashSet::new();
    wait_until("a response of each worker", || {
        // Open connections lead new ones to the other worker.
        let mut client = Client::connect(address);
        let response = call_on(&mut client, &request("worker", &json!([]), 1));
        clients.push(client);
        let reply: Value = serde_json::from_slice(&response.body).unwrap();
        workers.insert(reply["result"].to_string());
        workers.len() == 2
    });
}

#[test]
fn errors_have_their_codes() {
    let running = start("-w 1 --thread-workers 1");
    let address = running.ready();
    let too_many = json!([10_000_001]);
    for (method, params, code) in [
        ("math.divide", json!([7, 0]), 1),
        ("math.primes", too_many, 1),
        ("math.divide", json!([7]), -32602),
        ("math.divide", json!(["x", "y"]), -32602),
        ("math.power", json!([7, 2]), -32601),
    ] {
        let reply = call(address, &request(method, &params, 5));
        assert_eq!(
            (&reply["error"]["code"], &reply["id"]),
            (&json!(code), &json!(5))
        );
    }
    for (body, code) in [("{", -32700), ("[]", -32600)] {
        let mut client = Client::connect(address);
        client.send(post(body)).unwrap();
        let reply: Value = serde_json::from_slice(&client.response().unwrap().body).unwrap();
        assert_eq!(
            (&reply["error"]["code"], &reply["id"]),
            (&json!(code), &Value::Null)
        );
    }
}

#[test]
fn a_batch_has_a_limit() {
    let running = start("-w 1 --thread-workers 1");
    let address = running.ready();
    let batch = |calls: u32| -> Value {
        (0..calls)
            .map(|id| request("math.divide", &json!([id, 1]), id))
            .collect()
    };
    let replies = call(address, &batch(50));
    let results: Vec<_> = replies.as_array().unwrap().iter().collect();
    assert_eq!(results.len(), 50);
    assert_eq!(results[49]["result"], 49.0);
    let reply = call(address, &batch(51));
    assert!(reply["error"]["code"].is_i64(), "{reply}");
}

#[test]
fn a_body_has_a_limit() {
    let running = start("-w 1 --thread-workers 1");
    let mut client = Client::connect(running.ready());
    let head = "POST /rpc HTTP/1.1\r\nhost: test\r\ncontent-type: application/json\r\ncontent-length: 1000000\r\n\r\n";
    client.send(head).unwrap();
    assert_eq!(client.response().unwrap().status, 413);
}

#[test]
fn a_worker_that_is_retired_responds_first() {
    let running = start("-w 1 --thread-workers 1");
    let mut client = Client::connect(running.ready());
    let body = post(&request("math.divide", &json!([7, 2]), 1).to_string());
    let (first, rest) = body.split_at(body.len() - 10);
    client.send(first).unwrap();
    // The worker has the request, because a later one on another connection has its response.
    let old = running.workers();
    assert_eq!(running.client().get("/health").unwrap().status, 200);
    running.signal(Signal::HUP);
    running.wait_for("reloaded");
    client.send(rest).unwrap();
    let response = client.response().unwrap();
    assert_eq!(response.status, 200);
    let reply: Value = serde_json::from_slice(&response.body).unwrap();
    assert_eq!(reply["result"], 3.5);
    for worker in old {
        assert!(worker.ends_within(PATIENCE));
    }
}

#[test]
fn it_needs_threads() {
    let (code, output) = program("json-rpc")
        .args("-b 127.0.0.1:0 -w 1 --thread-workers 0")
        .run();
    assert_ne!(code, Some(0));
    assert!(
        output.contains("give --thread-workers 1 or more"),
        "{output}"
    );
}
