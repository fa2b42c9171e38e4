//! Every variable of the environ.

use std::{
    collections::HashMap,
    net::{IpAddr, Ipv6Addr, SocketAddr},
};

use http::{HeaderName, HeaderValue, Version};

use super::*;
use tower_server_info::{ClientCertificate, ConnectInfo, ForwardedInfo, TlsInfo};

use crate::wsgi::{Input, environ::Server, testing};

/// The variables of a request, as text.
fn variables(request: Request<Input>, script_name: &str) -> HashMap<String, String> {
    let server = WsgiService::new(()).script_name(script_name).server();
    let (parts, input) = request.into_parts();
    let environ = Environ::new(parts, input, server);
    let mut variables = HashMap::new();
    for (name, value) in environ.variables() {
        let name = name.to_string();
        assert_eq!(environ.get(&name).as_deref(), Some(&*value), "{name}");
        let value = value.iter().map(|byte| char::from(*byte)).collect();
        let twice = variables.insert(name.clone(), value);
        assert_eq!(twice, None, "{name} is there twice");
    }
    variables
}

fn plain(request: http::request::Builder) -> HashMap<String, String> {
    let body = Input::from(BufferedBody::default());
    variables(request.body(body).unwrap(), "")
}

fn check(variables: &HashMap<String, String>, expected: &[(&str, &str)]) {
    for (name, value) in expected {
        assert_eq!(
            variables.get(*name).map(String::as_str),
            Some(*value),
            "{name}"
        );
    }
}

#[test]
fn a_plain_request_has_these_and_no_others() {
    let request = Request::get("/a%20b/%C3%A9%zz?x=%201")
        .header("host", "example.com:80")
        .extension(ConnectInfo::tcp(
            SocketAddr::from(([127, 0, 0, 2], 8000)),
            SocketAddr::from(([127, 0, 0, 1], 1234)),
        ));
    let request = request.body(Input::from(BufferedBody::default())).unwrap();
    let variables = variables(request, "");
    let expected = [
        ("REQUEST_METHOD", "GET"),
        ("SCRIPT_NAME", ""),
        ("PATH_INFO", "/a b/\u{c3}\u{a9}%zz"),
        ("QUERY_STRING", "x=%201"),
        ("REQUEST_URI", "/a%20b/%C3%A9%zz?x=%201"),
        ("RAW_URI", "/a%20b/%C3%A9%zz?x=%201"),
        ("SERVER_NAME", "127.0.0.2"),
        ("SERVER_PORT", "8000"),
        ("SERVER_PROTOCOL", "HTTP/1.1"),
        (
            "SERVER_SOFTWARE",
            concat!("tower-wsgi/", env!("CARGO_PKG_VERSION")),
        ),
        ("REMOTE_ADDR", "127.0.0.1"),
        ("REMOTE_PORT", "1234"),
        ("HTTP_HOST", "example.com:80"),
    ];
    check(&variables, &expected);
    assert_eq!(variables.len(), expected.len(), "{variables:?}");
}

#[test]
fn header_fields_become_variables() {
    let request = Request::post("/")
        .header("content-type", "text/plain")
        .header("X-Some-Field", "1")
        .header("x-twice", "a")
        .header("x-twice", "b")
        .header("cookie", "a=1")
        .header("cookie", "b=2")
        .header("x-forwarded-for", "10.0.0.1")
        .header("X_Forwarded_For", "6.6.6.6")
        .header("content_length", "6")
        .header("x-latin", HeaderValue::from_bytes(b"\xe9").unwrap())
        .header("expect", "100-continue");
    let variables = plain(request);
    check(
        &variables,
        &[
            ("CONTENT_TYPE", "text/plain"),
            ("HTTP_X_SOME_FIELD", "1"),
            ("HTTP_X_TWICE", "a,b"),
            ("HTTP_COOKIE", "a=1; b=2"),
            ("HTTP_X_FORWARDED_FOR", "10.0.0.1"),
            ("HTTP_X_LATIN", "\u{e9}"),
            ("HTTP_EXPECT", "100-continue"),
        ],
    );
    for name in ["HTTP_CONTENT_TYPE", "HTTP_CONTENT_LENGTH", "CONTENT_LENGTH"] {
        assert!(!variables.contains_key(name), "{name}");
    }
}

#[test]
fn the_length_is_that_of_the_body_that_has_arrived() {
    let length = |request: http::request::Builder, body: Input| {
        let variables = variables(request.body(body).unwrap(), "");
        let length = variables.get("CONTENT_LENGTH").cloned();
        (length, variables.contains_key("HTTP_TRANSFER_ENCODING"))
    };
    let arrived = |text: &'static str| Input::from(BufferedBody::from(text));
    let arriving = || Input::new(http_body_util::Full::new(Bytes::from("abc")));
    let some = |text: &str| Some(text.to_owned());
    let chunked = || Request::post("/").header("transfer-encoding", "chunked");
    let sized = |length: &str| Request::post("/").header("content-length", length);

    assert_eq!(length(chunked(), arrived("abc")), (some("3"), false));
    assert_eq!(length(chunked(), arrived("")), (some("0"), false));
    assert_eq!(length(sized("3"), arrived("abc")), (some("3"), false));
    assert_eq!(length(sized("0"), arrived("")), (some("0"), false));
    assert_eq!(length(Request::post("/"), arrived("")), (None, false));
    assert_eq!(length(chunked(), arriving()), (None, true));
    assert_eq!(length(sized("3"), arriving()), (some("3"), false));
    assert_eq!(length(sized("3, 3"), arriving()), (some("3"), false));
}

#[test]
fn the_script_name_is_cut_off_the_path() {
    let path = |script_name: &str, target: &str| {
        let body = Input::from(BufferedBody::default());
        let request = Request::get(target).body(body).unwrap();
        let variables = variables(request, script_name);
        (
            variables["SCRIPT_NAME"].clone(),
            variables["PATH_INFO"].clone(),
        )
    };
    let pair = |name: &str, info: &str| (name.to_owned(), info.to_owned());
    for script_name in ["/shop", "/shop/", "shop"] {
        assert_eq!(path(script_name, "/shop/a?b"), pair("/shop", "/a"));
        assert_eq!(path(script_name, "/shop"), pair("/shop", ""));
        assert_eq!(path(script_name, "/shop/"), pair("/shop", "/"));
        assert_eq!(path(script_name, "/shopping"), pair("/shop", "/shopping"));
        assert_eq!(path(script_name, "/s%68op/a%2Fb"), pair("/shop", "/a/b"));
        assert_eq!(path(script_name, "/cut/off"), pair("/shop", "/cut/off"));
    }
    for root in ["", "/", "//"] {
        assert_eq!(path(root, "/a"), pair("", "/a"));
    }
}

#[test]
fn targets_of_other_forms() {
    let absolute = Request::get("http://user@example.com:81/a?b").header("host", "other");
    let variables = plain(absolute);
    check(
        &variables,
        &[
            ("HTTP_HOST", "example.com:81"),
            ("SERVER_NAME", "example.com"),
            ("SERVER_PORT", "81"),
            ("PATH_INFO", "/a"),
            ("QUERY_STRING", "b"),
            ("REQUEST_URI", "http://user@example.com:81/a?b"),
        ],
    );
    // As HTTP/2 has it: there is no Host field.
    let second = Request::get("https://example.com/a?b").version(Version::HTTP_2);
    let variables = plain(second);
    check(
        &variables,
        &[
            ("HTTP_HOST", "example.com"),
            ("PATH_INFO", "/a"),
            ("REQUEST_URI", "/a?b"),
            ("SERVER_PROTOCOL", "HTTP/2.0"),
        ],
    );

    let asterisk = plain(Request::options("*"));
    check(&asterisk, &[("PATH_INFO", ""), ("REQUEST_URI", "*")]);
    let bare = plain(Request::get("http://example.com"));
    check(&bare, &[("PATH_INFO", "/")]);
    let old = plain(Request::get("/").version(Version::HTTP_10));
    check(&old, &[("SERVER_PROTOCOL", "HTTP/1.0")]);
}

#[test]
fn the_addresses_of_the_connection() {
    let of = |connection: ConnectInfo, host: Option<&str>| {
        let mut request = Request::get("/").extension(connection);
        if let Some(host) = host {
            request = request.header("host", host);
        }
        let body = Input::from(BufferedBody::default());
        variables(request.body(body).unwrap(), "")
    };
    let mapped = |last, port| {
        let ip = Ipv6Addr::new(0, 0, 0, 0, 0, 0xffff, 0x7f00, last);
        SocketAddr::new(IpAddr::V6(ip), port)
    };
    let over_v6_socket = ConnectInfo::tcp(mapped(2, 443), mapped(1, 5)).encrypted();
    check(
        &of(over_v6_socket, Some("example.com")),
        &[
            ("REMOTE_ADDR", "127.0.0.1"),
            ("REMOTE_PORT", "5"),
            ("SERVER_NAME", "127.0.0.2"),
            ("SERVER_PORT", "443"),
        ],
    );
    let v6 = SocketAddr::from((Ipv6Addr::LOCALHOST, 80));
    let over_v6 = ConnectInfo::tcp(v6, v6);
    check(
        &of(over_v6, None),
        &[("REMOTE_ADDR", "::1"), ("SERVER_NAME", "[::1]")],
    );

    let unix = |encrypted| {
        let connection = ConnectInfo::unix(None);
        match encrypted {
            true => connection.encrypted(),
            false => connection,
        }
    };
    let cases = [
        (false, Some("example.com"), "example.com", "80"),
        (true, Some("example.com"), "example.com", "443"),
        (false, Some("example.com:81"), "example.com", "81"),
        (false, Some("[::1]:81"), "[::1]", "81"),
        (false, Some(""), "localhost", "80"),
        (false, Some("no host"), "localhost", "80"),
        (true, None, "localhost", "443"),
    ];
    for (encrypted, host, name, port) in cases {
        let variables = of(unix(encrypted), host);
        check(
            &variables,
            &[
                ("SERVER_NAME", name),
                ("SERVER_PORT", port),
                ("REMOTE_ADDR", ""),
            ],
        );
        assert!(!variables.contains_key("REMOTE_PORT"));
    }
}

#[test]
fn what_a_trusted_proxy_says_of_the_client() {
    let of = |connection: ConnectInfo, script_name: &str| {
        let request = Request::get("/b?c").header("host", "internal:8000");
        let body = Input::from(BufferedBody::default());
        let request = request.extension(connection).body(body).unwrap();
        variables(request, script_name)
    };
    let address = SocketAddr::from(([127, 0, 0, 1], 8000));
    let mut said = ForwardedInfo::default();
    said.client = Some(IpAddr::from([192, 0, 2, 7]).into());
    said.https = Some(true);
    let connection = ConnectInfo::tcp(address, address);
    let proxied = of(connection.clone().forwarded_by(said.clone()), "");
    check(
        &proxied,
        &[
            ("REMOTE_ADDR", "192.0.2.7"),
            ("HTTP_HOST", "internal:8000"),
            ("SERVER_NAME", "127.0.0.1"),
            ("SERVER_PORT", "8000"),
            ("SCRIPT_NAME", ""),
        ],
    );
    // That of the proxy is not the client's.
    assert!(!proxied.contains_key("REMOTE_PORT"));

    said.host = Some("shop.example".into());
    said.prefix = Some("/caf%C3%A9".into());
    for connection in [connection, ConnectInfo::unix(None)] {
        check(
            &of(connection.forwarded_by(said.clone()), "/own"),
            &[
                ("HTTP_HOST", "shop.example"),
                ("SERVER_NAME", "shop.example"),
                ("SERVER_PORT", "443"),
                ("SCRIPT_NAME", "/caf\u{c3}\u{a9}/own"),
                ("PATH_INFO", "/b"),
                ("REQUEST_URI", "/b?c"),
                ("REMOTE_ADDR", "192.0.2.7"),
            ],
        );
    }
}

#[test]
fn what_pep_3333_keeps_in_wsgi_variables() {
    let environ = testing::environ("https://example.com/").build();
    assert_eq!(environ.url_scheme(), "https");
    assert!(!environ.multithread() && !environ.multiprocess());
    assert_eq!(testing::environ("/").build().url_scheme(), "http");
    let server = WsgiService::new(()).server();
    assert!(server.multithread && server.multiprocess);
    let server = WsgiService::new(())
        .multithread(false)
        .multiprocess(false)
        .server();
    assert!(!server.multithread && !server.multiprocess);
}

#[test]
fn variables_are_added_and_replaced() {
    let mut environ = testing::environ("/").header("x-a", "sent").build();
    environ.insert("REMOTE_USER", "ada");
    environ.insert("REMOTE_USER", "grace");
    environ.insert("HTTP_X_A", "replaced");
    environ.insert("SERVER_NAME", "other");
    for (name, value) in [
        ("REMOTE_USER", "grace"),
        ("HTTP_X_A", "replaced"),
        ("SERVER_NAME", "other"),
    ] {
        let named = environ
            .variables()
            .filter(|(other, _)| other.to_string() == name);
        assert_eq!(named.count(), 1, "{name}");
        assert_eq!(environ.get(name).unwrap(), value.as_bytes());
    }
    assert_eq!(environ.headers()["x-a"], "sent");
    assert!(environ.get("NOTHING").is_none());
}

#[test]
fn an_environ_of_a_test_is_what_was_asked_for() {
    let environ = testing::environ("http://example.com:81/a?b=c")
        .method("PUT")
        .header("host", "replaced")
        .header("x-a", "1")
        .body("hello")
        .build();
    assert_eq!(environ.method(), Method::PUT);
    for (name, value) in [
        ("HTTP_HOST", "replaced"),
        ("HTTP_X_A", "1"),
        ("CONTENT_LENGTH", "5"),
        ("PATH_INFO", "/a"),
        ("QUERY_STRING", "b=c"),
        ("REMOTE_ADDR", "127.0.0.1"),
    ] {
        assert_eq!(environ.get(name).unwrap(), value.as_bytes(), "{name}");
    }
    let (parts, input) = environ.into_parts();
    assert_eq!(parts.uri, "/a?b=c");
    assert_eq!(input.length(), Some(5));
}

#[tokio::test]
async fn the_service_finds_the_connection_in_the_extensions() {
    let service = WsgiService::new(|environ: Environ, start_response: StartResponse| {
        start_response.start("200 OK", PLAIN)?;
        let address = environ.get("REMOTE_ADDR").unwrap().into_owned();
        Ok::<_, BoxError>([Ok(Bytes::from(address))])
    });
    let mut request = request(Method::GET);
    let address = |last| SocketAddr::from(([127, 0, 0, last], 1));
    request
        .extensions_mut()
        .insert(ConnectInfo::tcp(address(1), address(9)));
    let Ok(response) = service.oneshot(request).await;
    assert_eq!(see(response).await.body, Ok("127.0.0.9".into()));
}

#[test]
fn a_field_is_spelled_as_pep_3333_spells_it() {
    let name = HeaderName::from_static("x-some.field");
    let spelled = crate::wsgi::Variable::Header(&name).to_string();
    assert_eq!(spelled, "HTTP_X_SOME.FIELD");
}

impl<A> WsgiService<A> {
    fn server(&self) -> Arc<Server> {
        Arc::clone(&self.server)
    }
}

#[test]
fn no_client_names_a_proxy() {
    for twice in [false, true] {
        let mut request = Request::get("/").header("proxy", "http://evil:1");
        if twice {
            request = request.header("Proxy", "http://evil:2");
        }
        let variables = plain(request.header("proxy-authorization", "x"));
        assert!(!variables.contains_key("HTTP_PROXY"));
        check(&variables, &[("HTTP_PROXY_AUTHORIZATION", "x")]);
    }
}

#[test]
fn an_empty_host_is_there_and_names_no_server() {
    let address = SocketAddr::from(([127, 0, 0, 2], 8000));
    for (connection, name, port) in [
        (ConnectInfo::tcp(address, address), "127.0.0.2", "8000"),
        (ConnectInfo::unix(None), "localhost", "80"),
    ] {
        let request = Request::get("/").header("host", "").extension(connection);
        let request = request.body(Input::from(BufferedBody::default())).unwrap();
        let expected = [
            ("HTTP_HOST", ""),
            ("SERVER_NAME", name),
            ("SERVER_PORT", port),
        ];
        check(&variables(request, ""), &expected);
    }
}

#[test]
fn tls_has_variables_that_no_field_can_set() {
    let address = SocketAddr::from(([127, 0, 0, 1], 443));
    let request = || {
        Request::get("/")
            .header("ssl-client-verify", "SUCCESS")
            .header("ssl-client-s-dn", "CN=mallory")
    };
    let connection = ConnectInfo::tcp(address, address);
    let without = plain(request().extension(connection.clone()));
    assert!(
        !without.keys().any(|name| name.starts_with("SSL_")),
        "{without:?}"
    );

    let tls = TlsInfo::new("TLSv1.3", "TLS_AES_256_GCM_SHA384");
    let anonymous = plain(request().extension(connection.clone().with_tls(tls.clone())));
    check(
        &anonymous,
        &[
            ("SSL_PROTOCOL", "TLSv1.3"),
            ("SSL_CIPHER", "TLS_AES_256_GCM_SHA384"),
            ("SSL_CLIENT_VERIFY", "NONE"),
            ("HTTP_SSL_CLIENT_S_DN", "CN=mallory"),
        ],
    );
    assert!(!anonymous.contains_key("SSL_CLIENT_S_DN") && !anonymous.contains_key("SSL_TLS_SNI"));

    let client = ClientCertificate::new([0; 3], "CN=alice", "CN=root", "AB");
    let tls = tls.with_server_name("shop.example").with_client(client);
    let known = plain(request().extension(connection.with_tls(tls)));
    check(
        &known,
        &[
            ("SSL_TLS_SNI", "shop.example"),
            ("SSL_CLIENT_VERIFY", "SUCCESS"),
            ("SSL_CLIENT_S_DN", "CN=alice"),
            ("SSL_CLIENT_I_DN", "CN=root"),
            ("SSL_CLIENT_M_SERIAL", "AB"),
            (
                "SSL_CLIENT_CERT",
                "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n",
            ),
        ],
    );
}
