//! From HTTP to HTTPS: the redirect, and the field for browsers.

use tests::{Certificate, Client, Program, installed};

use crate::probe;

fn server(directory: &std::path::Path, arguments: &str) -> (Certificate, Program) {
    let certificate = Certificate::new();
    let files = certificate.write(directory);
    let program = probe(&format!(
        "{files} --redirect-http 127.0.0.2:0 -b 127.0.0.1:0 {arguments}"
    ));
    (certificate, program)
}

#[test]
fn http_is_redirected_to_https() {
    for workers in [1, 0] {
        let directory = tempfile::tempdir().unwrap();
        let arguments = format!("-w {workers} --hsts 300 --readiness-path /ready");
        let (certificate, program) = server(directory.path(), &arguments);
        let running = program.start();
        let https = running.ready();
        let addresses = running.addresses();
        let http = addresses.iter().find_map(|one| one.strip_prefix("http://"));
        let http = http.expect("an address without TLS").parse().unwrap();
        assert!(
            addresses.contains(&format!("https://{https}")),
            "{addresses:?}"
        );

        let mut client = Client::connect(http);
        for (method, path, status) in [
            ("GET", "/a?b=c&d", 301),
            ("HEAD", "/", 301),
            ("POST", "/upload", 308),
            ("GET", "/.well-known/acme-challenge/token", 301),
        ] {
            let length = if method == "POST" {
                "content-length: 0\r\n"
            } else {
                ""
            };
            let head = format!("{method} {path} HTTP/1.1\r\nhost: shop.example:80\r\n{length}\r\n");
            client.send(head).unwrap();
            let (got, fields) = client.head().unwrap();
            let field = |name: &str| {
                let mut fields = fields.iter().filter(|(field, _)| field == name);
                fields.next().map(|(_, value)| value.clone())
            };
            assert_eq!(got, status, "{method} {path}");
            let expected = format!("https://shop.example:{}{path}", https.port());
            assert_eq!(field("location"), Some(expected));
            assert_eq!(
                field("strict-transport-security"),
                None,
                "RFC 6797 section 7.2"
            );
        }
        assert_eq!(client.get("/ready").unwrap().status, 200);
        let mut old = Client::connect(http);
        old.send("GET / HTTP/1.0\r\n\r\n").unwrap();
        let response = old.rest().unwrap();
        let response = String::from_utf8_lossy(&response);
        assert!(response.starts_with("HTTP/1.0 400 "), "{response}");

        let mut client = Client::connect_tls(https, &certificate.trusted()).unwrap();
        let response = client.get("/encrypted").unwrap();
        assert_eq!((response.status, response.text().as_str()), (200, "true"));
        assert_eq!(
            response.header("strict-transport-security"),
            Some("max-age=300")
        );
    }
}

#[test]
fn nobody_is_told_to_use_https_by_default() {
    let directory = tempfile::tempdir().unwrap();
    let (certificate, program) = server(directory.path(), "-w 1");
    let running = program.start();
    let mut client = Client::connect_tls(running.ready(), &certificate.trusted()).unwrap();
    let response = client.get("/").unwrap();
    assert_eq!(response.header("strict-transport-security"), None);
}

#[test]
fn curl_follows_the_redirect() {
    let directory = tempfile::tempdir().unwrap();
    let (_, program) = server(directory.path(), "-w 1");
    let running = program.start();
    let https = running.ready();
    let addresses = running.addresses();
    let http = addresses.iter().find_map(|one| one.strip_prefix("http://"));
    let port = http
        .expect("an address without TLS")
        .rsplit(':')
        .next()
        .unwrap();
    let Some(curl) = installed("curl") else {
        return;
    };
    let ca = directory.path().join("cert.pem");
    let (code, output) = curl
        .args("--silent --show-error --location --cacert")
        .arg(ca)
        .arg("--resolve")
        .arg(format!("localhost:{port}:127.0.0.2"))
        .arg("--resolve")
        .arg(format!("localhost:{}:127.0.0.1", https.port()))
        .arg(format!("http://localhost:{port}/encrypted"))
        .run();
    assert_eq!((code, output.as_str()), (Some(0), "true"));
}

#[test]
fn an_address_is_for_one_of_both() {
    let directory = tempfile::tempdir().unwrap();
    let files = Certificate::new().write(directory.path());
    for (setting, problem) in [
        (
            "127.0.0.1:0",
            "listens for HTTPS there; choose another address",
        ),
        ("unix:a", "choose an address of TCP"),
        ("nowhere", "cannot listen on \"nowhere\""),
    ] {
        let arguments = format!("-w 1 {files} -b 127.0.0.1:0 --redirect-http {setting}");
        let (code, line) = crate::refused(probe(&arguments));
        assert!(code == 2 && line.contains(problem), "{line}");
    }
}
