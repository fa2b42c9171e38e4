//! Programs that others have written: curl, nghttp and h2load.

use std::{fs, process::Command};

use tests::{Certificate, installed};

use crate::probe;

/// What a program prints, which has to succeed.
fn output(command: &mut Command) -> String {
    let output = command.output().expect("it is installed");
    let (out, error) = (output.stdout, output.stderr);
    let text = String::from_utf8_lossy(&out) + String::from_utf8_lossy(&error);
    assert!(output.status.success(), "{command:?}: {text}");
    text.into_owned()
}

#[test]
fn curl_speaks_every_form() {
    if installed("curl").is_none() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let body = directory.path().join("body");
    fs::write(&body, vec![b'x'; 3_000_000]).unwrap();
    let certificate = Certificate::new();
    let tls = certificate.write(directory.path());
    let plain = probe("").start();
    let encrypted = probe(&tls).start();
    let plain = format!("http://{}", plain.ready());
    let address = encrypted.ready();
    let encrypted = format!("https://localhost:{}", address.port());
    let resolve = format!("localhost:{}:{}", address.port(), address.ip());
    let trusted = directory.path().join("cert.pem");

    let curl = |arguments: &[&str]| {
        let mut command = Command::new("curl");
        command.args(["-sS", "--max-time", "60", "-w", " HTTP/%{http_version}"]);
        command.arg("--cacert").arg(&trusted);
        command.args(["--resolve", &resolve]).args(arguments);
        output(&mut command)
    };
    let upload = format!("@{}", body.display());
    for (option, base, version) in [
        ("--http2-prior-knowledge", &plain, "2"),
        // Without an upgrade, which is no more: the connection stays what it was.
        ("--http2", &plain, "1.1"),
        ("--http1.1", &plain, "1.1"),
        ("--http2", &encrypted, "2"),
        ("--http2-prior-knowledge", &encrypted, "2"),
        ("--http1.1", &encrypted, "1.1"),
    ] {
        let encrypted = format!("{}", base.starts_with("https"));
        let end = format!(" HTTP/{version}");
        let url = |path: &str| format!("{base}{path}");
        assert_eq!(
            curl(&[option, &url("/encrypted")]),
            encrypted + &end,
            "{option}"
        );
        let sent = curl(&[option, "--data-binary", &upload, &url("/upload")]);
        assert_eq!(sent, format!("3000000{end}"), "{option}");
        let received = curl(&[option, &url("/bytes/3000000")]);
        assert_eq!(received.len(), 3_000_000 + end.len(), "{option}");
        let head = curl(&[option, "-I", &url("/bytes/7")]).to_lowercase();
        assert!(head.contains("content-length: 7"), "{option}: {head}");
    }
}

#[test]
fn nghttp_loads_in_parallel() {
    if installed("nghttp").is_none() {
        return;
    }
    let running = probe("").start();
    let url = format!("http://{}", running.ready());
    // With its dependencies between streams, padding, and a table for fields.
    let mut command = Command::new("nghttp");
    command.args([
        "-nsv",
        "--timeout=60",
        "-m",
        "20",
        "--padding=100",
        "-H",
        "te: trailers",
    ]);
    command.args([format!("{url}/bytes/100000"), format!("{url}/request")]);
    let text = output(&mut command);
    assert!(!text.contains("recv GOAWAY"), "{text}");
    assert_eq!(text.matches(":status: 200").count(), 40, "{text}");
}

#[test]
fn h2load_gets_what_it_asks_for() {
    if installed("h2load").is_none() {
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let certificate = Certificate::new();
    let body = directory.path().join("body");
    fs::write(&body, vec![b'x'; 10_000]).unwrap();
    for options in ["", &certificate.write(directory.path())] {
        let running = probe(options).start();
        running.wait_for(" ready ");
        let base = running.addresses().remove(0);
        for (path, post) in [("/", false), ("/bytes/20000", false), ("/upload", true)] {
            let mut command = Command::new("h2load");
            command.args(["-n", "2000", "-c", "4", "-m", "100", "-T", "60"]);
            if post {
                command.arg("-d").arg(&body);
            }
            let text = output(command.arg(format!("{base}{path}")));
            let all = "2000 total, 2000 started, 2000 done, 2000 succeeded, 0 failed, 0 errored";
            assert!(text.contains(all), "{text}");
            assert!(text.contains("2000 2xx, 0 3xx, 0 4xx, 0 5xx"), "{text}");
        }
    }
}
