//! What a handler and the access log see of the fields of proxies: the cases of `forwarded.json`, which the Python tests have
//! for Flask and Django.

use std::{fs, net::SocketAddr};

use axum::{Extension, Router, body::Body, routing::get};
use http::HeaderName;
use serde_json::{Value, json};
use tower::Layer;
use tower_server_info::ClientAddress;

use super::*;
use crate::{
    AccessLog, AccessLogFormat, ForwardedLayer, TrustedPeers, TrustedProxies, connection::serve_io,
};

/// Where the requests come from.
const PEER: ([u8; 4], u16) = ([127, 0, 0, 1], 40000);

fn cases() -> Vec<Value> {
    serde_json::from_str(include_str!("forwarded.json")).unwrap()
}

fn text<'a>(case: &'a Value, key: &str) -> &'a str {
    case[key].as_str().unwrap_or_default()
}

fn proxies(case: &Value) -> TrustedProxies {
    let peers: TrustedPeers = text(case, "trust").parse().unwrap();
    TrustedProxies::new(peers).fields(text(case, "fields").parse().unwrap())
}

/// The name and the value of each field. A value may be in parts, each with how often it comes.
fn fields(case: &Value) -> Vec<(&str, String)> {
    let fields = case["request"].as_array().unwrap();
    let field = |field: &'_ Value| match &field[1] {
        Value::String(value) => value.clone(),
        parts => {
            let part = |part: &Value| {
                let count = usize::try_from(part[1].as_u64().unwrap()).unwrap();
                part[0].as_str().unwrap().repeat(count)
            };
            parts.as_array().unwrap().iter().map(part).collect()
        }
    };
    let named = fields.iter().map(|it| (it[0].as_str().unwrap(), field(it)));
    named.collect()
}

/// What a handler sees, in the words of a case.
async fn seen(Extension(connection): Extension<ConnectInfo>) -> String {
    let client = connection.client().unwrap();
    let is_peer = client == ClientAddress::from(SocketAddr::from(PEER));
    json!({
        "client": (!is_peer).then(|| client.ip.to_string()),
        "port": client.port.filter(|_| !is_peer),
        "scheme": connection.scheme(),
        "host": connection.host().unwrap_or("internal.example"),
        "prefix": connection.prefix().unwrap_or_default(),
    })
    .to_string()
}

fn assert_as_expected(case: &Value, body: &str) {
    let seen: Value = serde_json::from_str(body).unwrap();
    for key in ["client", "port", "scheme", "host", "prefix"] {
        assert_eq!(seen[key], case[key], "{key} of {}", case["name"]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_and_the_access_log_agree_on_the_client() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("log");
    let setting = AccessLog::new(&path).format(AccessLogFormat::Common);
    let log = Log::start(&setting, 0, false).unwrap();
    let mut expected = Vec::new();
    for case in cases() {
        let server = Server::with_log(|http| http.max_header_size = 1 << 20, Some(log.clone()));
        let shared = server.behind(proxies(&case)).shared;
        let (client, io) = tokio::io::duplex(1 << 20);
        let local = SocketAddr::from(([127, 0, 0, 1], 8000));
        let connection = ConnectInfo::tcp(local, PEER.into());
        let router = Router::new().route("/", get(seen));
        let mut client = Client::new(
            client,
            tokio::spawn(serve_io(io, connection, router, shared)),
        );
        // Before and behind it one without a proxy, of which nothing may be left.
        let plain = "GET / HTTP/1.1\r\nhost: internal.example\r\n\r\n";
        let mut request = String::from(plain.trim_end_matches("\r\n")) + "\r\n";
        for (name, value) in fields(&case) {
            request += &format!("{name}: {value}\r\n");
        }
        request += "\r\n";
        for (bytes, is_plain) in [(plain, true), (&request, false), (plain, true)] {
            client.send(bytes).await;
            let response = client.response().await;
            let body = response.text();
            if is_plain {
                let direct = json!({"name": "no field", "client": null, "port": null,
                    "scheme": "http", "host": "internal.example", "prefix": ""});
                assert_as_expected(&direct, body);
                expected.push("127.0.0.1");
            } else {
                assert_as_expected(&case, body);
                expected.push("");
            }
        }
        let index = expected.len() - 2;
        let address = text(&case, "client").to_owned();
        expected[index] = if address.is_empty() {
            "127.0.0.1"
        } else {
            address.leak()
        };
    }
    drop(log);
    let mut remote = Vec::new();
    for _ in 0..1000 {
        // The connections may still hold the log.
        tokio::task::yield_now().await;
        let text = fs::read_to_string(&path).unwrap();
        let addresses = text
            .lines()
            .map(|line| line.split(' ').next().unwrap().to_owned());
        remote = addresses.collect();
        if remote.len() == expected.len() {
            break;
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    assert_eq!(remote, expected);
}

#[tokio::test]
async fn the_layer_says_the_same() {
    for case in cases() {
        let router = Router::new().route("/", get(seen));
        let mut service = ForwardedLayer::new(proxies(&case)).layer(router);
        let local = SocketAddr::from(([127, 0, 0, 1], 8000));
        let mut request = Request::builder()
            .header("host", "internal.example")
            .extension(ConnectInfo::tcp(local, PEER.into()));
        for (name, value) in fields(&case) {
            let name = HeaderName::from_bytes(name.as_bytes()).unwrap();
            request = request.header(name, value);
        }
        let request = request.body(Body::empty()).unwrap();
        let response = service.call(request).await.unwrap();
        let body = response.into_body().collect().await.unwrap().to_bytes();
        assert_as_expected(&case, str::from_utf8(&body).unwrap());
    }
}
