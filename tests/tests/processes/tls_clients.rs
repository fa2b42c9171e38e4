//! Certificates of clients.

use std::{fs, net::SocketAddr, path::Path};

use rcgen::date_time_ymd;
use tests::{Authority, Certificate, Running, SClient, Signal, wait_until};

use crate::probe;

/// A server that asks for certificates of this authority.
fn server(directory: &Path, authority: &Authority, arguments: &str) -> Running {
    let ca = directory.join("ca.pem");
    fs::write(&ca, authority.pem()).unwrap();
    let files = Certificate::new().write(directory);
    let ca = ca.display();
    probe(&format!("{files} --tls-client-ca {ca} {arguments}")).start()
}

/// What a client with this certificate sees, or one without.
fn seen(
    address: SocketAddr,
    directory: &Path,
    certificate: Option<&Certificate>,
    arguments: &str,
) -> Option<String> {
    let mut arguments = arguments.to_owned();
    if let Some(certificate) = certificate {
        let _ = certificate.write_as(directory, "client.pem", "client.key");
        let path = |name: &str| directory.join(name).display().to_string();
        arguments += &format!(" -cert {} -key {}", path("client.pem"), path("client.key"));
    }
    Some(SClient::new(address, &arguments)?.get("/tls"))
}

#[test]
fn a_client_is_known_by_its_certificate() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let (authority, other) = (Authority::new("root"), Authority::new("other"));
    let valid = authority.issue("alice", |_| {});
    let unknown = other.issue("alice", |_| {});
    let expired = authority.issue("alice", |params| {
        params.not_after = date_time_ymd(2020, 1, 1);
    });
    let early = authority.issue("alice", |params| {
        params.not_before = date_time_ymd(2999, 1, 1);
    });
    let own = Certificate::new();
    for auth in [
        "",
        "--tls-client-auth required",
        "--tls-client-auth optional",
    ] {
        let running = server(directory, &authority, &format!("-w 1 {auth}"));
        let address = running.ready();
        for version in ["-tls1_3", "-tls1_2"] {
            let seen = |certificate| seen(address, directory, certificate, version);
            let Some(known) = seen(Some(&valid)) else {
                return;
            };
            let expected = "subject=CN=alice issuer=CN=root serial=AB pem=";
            assert!(known.contains(expected), "{auth} {version}: {known}");
            for (what, certificate) in [
                ("of another authority", &unknown),
                ("expired", &expired),
                ("not valid yet", &early),
                ("its own", &own),
            ] {
                let seen = seen(Some(certificate)).unwrap();
                assert!(
                    !seen.contains("HTTP/1.1"),
                    "{auth} {version} {what}: {seen}"
                );
                assert!(seen.contains("alert"), "{auth} {version} {what}: {seen}");
            }
            let anonymous = seen(None).unwrap();
            if auth.ends_with("optional") {
                assert!(anonymous.contains("no client"), "{anonymous}");
            } else {
                assert!(anonymous.contains("alert"), "{anonymous}");
                assert!(!anonymous.contains("HTTP/1.1"), "{anonymous}");
            }
        }
    }
}

/// A client that resumes a session is not asked for its certificate again.
#[test]
fn other_rules_for_certificates_end_the_sessions() {
    let directory = tempfile::tempdir().unwrap();
    let directory = directory.path();
    let (old, new) = (Authority::new("old"), Authority::new("new"));
    let running = server(directory, &old, "-w 1 --tls-client-auth optional");
    let address = running.ready();
    let alice = old.issue("alice", |_| {});
    let session = directory.join("session");
    let (session_out, session_in) = (
        format!("-sess_out {}", session.display()),
        format!("-sess_in {}", session.display()),
    );
    let Some(first) = seen(address, directory, Some(&alice), &session_out) else {
        return;
    };
    assert!(first.contains("New, TLSv1.3"), "{first}");
    // A session without a certificate is not that of one with it.
    let resumed = seen(address, directory, None, &session_in).unwrap();
    assert!(resumed.contains("Reused, TLSv1.3"), "{resumed}");
    assert!(resumed.contains("subject=CN=alice"), "{resumed}");

    fs::write(directory.join("ca.pem"), new.pem()).unwrap();
    running.signal(Signal::HUP);
    running.wait_for(" reloaded ");
    wait_until("the session has ended", || {
        let seen = seen(address, directory, None, &session_in).unwrap();
        seen.contains("New, TLSv1.3") && seen.contains("no client")
    });
    let bob = new.issue("bob", |_| {});
    let known = seen(address, directory, Some(&bob), "").unwrap();
    assert!(known.contains("subject=CN=bob issuer=CN=new"), "{known}");
}

#[test]
fn a_file_without_certificates_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let files = Certificate::new().write(directory.path());
    let ca = directory.path().join("ca.pem");
    let refused = |text: Option<&str>| {
        if let Some(text) = text {
            fs::write(&ca, text).unwrap();
        }
        let ca = ca.display();
        let (code, line) = crate::refused(probe(&format!("-w 1 {files} --tls-client-ca {ca}")));
        assert_eq!(code, 1);
        line
    };
    assert!(refused(None).contains("cannot read the certificates "));
    assert!(refused(Some("none")).contains("there is no certificate in PEM in "));
    let broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n";
    assert!(refused(Some(broken)).contains("has a certificate that cannot be used"));
}
