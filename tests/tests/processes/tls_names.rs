//! Several certificates, by the name for which a client asks; passwords of keys; versions of TLS.

use std::{fs, net::SocketAddr, path::Path};

use tests::{Certificate, Client, Program, SClient, installed};
use tokio_rustls::rustls::version::{TLS12, TLS13};

use crate::{probe, refused};

/// Whether a client that asks for this name, or for none, gets this certificate.
fn gets(address: SocketAddr, name: Option<&str>, certificate: &Certificate) -> Option<bool> {
    let arguments = match name {
        Some(name) => format!("-servername {name}"),
        None => "-noservername".to_owned(),
    };
    let seen = SClient::new(address, &arguments)?.get("/tls");
    let said = format!("name={} no client", name.unwrap_or("none"));
    assert!(seen.contains(&said), "{name:?}: {seen}");
    Some(seen.contains(certificate.pem().trim()))
}

#[test]
fn a_client_gets_the_certificate_of_the_name_that_it_asks_for() {
    let directory = tempfile::tempdir().unwrap();
    let root = directory.path();
    let of = |names: &[&str]| Certificate::of(names, |_| {});
    let first = of(&["first.example"]);
    let wildcard = of(&["*.shop.example", "shop.example"]);
    let exact = of(&["pay.shop.example"]);
    let nested = of(&["nested.example"]);
    let secrets = root.join("secrets");
    fs::create_dir_all(secrets.join("b")).unwrap();
    fs::create_dir_all(secrets.join("a")).unwrap();
    let _ = exact.write_as(&secrets.join("a"), "fullchain.pem", "privkey.pem");
    let _ = nested.write_as(&secrets.join("b"), "tls.crt", "tls.key");
    let running = probe(&format!(
        "-w 1 {} {} --tls-certificate {}",
        first.write_as(root, "1.pem", "1.key"),
        wildcard.write_as(root, "2.pem", "2.key"),
        secrets.display(),
    ))
    .start();
    let address = running.ready();
    for (name, certificate) in [
        (Some("first.example"), &first),
        (Some("shop.example"), &wildcard),
        (Some("www.shop.example"), &wildcard),
        (Some("pay.shop.example"), &exact),
        (Some("nested.example"), &nested),
        (Some("unknown.example"), &first),
        (Some("a.b.shop.example"), &first),
        (None, &first),
    ] {
        match gets(address, name, certificate) {
            Some(gets) => assert!(gets, "{name:?}"),
            None => return,
        }
    }
    assert_eq!(gets(address, Some("shop.example"), &first), Some(false));
}

#[test]
fn many_certificates_are_more_than_a_message_has_room_for() {
    let directory = tempfile::tempdir().unwrap();
    let mut arguments = String::new();
    let mut last = Certificate::new();
    for number in 0..150 {
        let name = format!("host{number}.example");
        last = Certificate::of(&[&name], |_| {});
        let (file, key) = (format!("{number}.pem"), format!("{number}.key"));
        arguments += " ";
        arguments += &last.write_as(directory.path(), &file, &key);
    }
    let running = probe(&format!("-w 2 {arguments}")).start();
    let address = running.ready();
    if let Some(gets) = gets(address, Some("host149.example"), &last) {
        assert!(gets);
    }
    assert!(!running.log().iter().any(|line| line.contains("ERROR")));
}

#[test]
fn certificates_and_keys_are_paired() {
    let directory = tempfile::tempdir().unwrap();
    let files = Certificate::new().write(directory.path());
    let certificate = directory.path().join("cert.pem");
    let certificate = certificate.display();
    let (code, line) = refused(probe(&format!(
        "-w 1 {files} --tls-certificate {certificate}"
    )));
    assert_eq!(code, 1);
    assert!(
        line.contains("there is no tls_key for the certificate"),
        "{line}"
    );
    let (code, line) = refused(probe(&format!("-w 1 --tls-certificate {certificate}")));
    assert_eq!(code, 1);
    assert!(line.ends_with("tls_certificate is given and tls_key is not; give both, or none"));
    for setting in [
        "--tls-client-ca a.pem",
        "--tls-min-version 1.3",
        "--hsts 60",
        "--redirect-http 127.0.0.1:0",
        "--tls-key-password-file a",
    ] {
        let (code, line) = refused(probe(&format!("-w 1 {setting}")));
        let name = setting.split(' ').next().unwrap();
        let name = name.trim_start_matches('-').replace('-', "_");
        let expected = format!("{name} is given and tls_certificate is not");
        assert!(code == 2 && line.contains(&expected), "{line}");
    }
}

/// Encrypts a key as OpenSSL does by default, or in the way of its early versions.
fn encrypt(directory: &Path, how: &str) -> Option<()> {
    let key = directory.join("key.pem");
    let program = installed("openssl")?
        .args(how)
        .arg("-in")
        .arg(&key)
        .arg("-out")
        .arg(directory.join("locked.pem"))
        .args("-passout pass:secret -passin pass:none");
    let (code, output) = program.run();
    assert_eq!(code, Some(0), "{output}");
    Some(())
}

#[test]
fn an_encrypted_key_is_opened_by_its_password() {
    let directory = tempfile::tempdir().unwrap();
    let certificate = Certificate::new();
    let _ = certificate.write(directory.path());
    let path = |name: &str| directory.path().join(name).display().to_string();
    let arguments = format!(
        "-w 1 --tls-certificate {} --tls-key {}",
        path("cert.pem"),
        path("locked.pem")
    );
    let with_password = format!("{arguments} --tls-key-password-file {}", path("password"));
    fs::write(path("password"), "secret\n").unwrap();
    for how in ["pkcs8 -topk8", "pkcs8 -topk8 -scrypt"] {
        if encrypt(directory.path(), how).is_none() {
            return;
        }
        let running = probe(&with_password).start();
        let mut client = Client::connect_tls(running.ready(), &certificate.trusted()).unwrap();
        assert_eq!(client.get("/encrypted").unwrap().text(), "true");
    }
    let (_, line) = refused(probe(&arguments));
    assert!(
        line.contains("is encrypted; give the file with its password as tls_key_password_file"),
        "{line}"
    );
    fs::write(path("password"), "wrong\n").unwrap();
    let (_, line) = refused(probe(&with_password));
    assert!(
        line.contains("the password in tls_key_password_file is not that of the key"),
        "{line}"
    );
    encrypt(directory.path(), "ec -aes256").unwrap();
    let (_, line) = refused(probe(&with_password));
    let help =
        "legacy form of OpenSSL, which is not supported; convert it with: openssl pkcs8 -topk8";
    assert!(line.contains(help), "{line}");
}

#[test]
fn an_old_version_can_be_turned_off() {
    let directory = tempfile::tempdir().unwrap();
    let certificate = Certificate::new();
    let arguments = certificate.write(directory.path());
    for (setting, old) in [
        ("", true),
        ("--tls-min-version 1.2", true),
        ("--tls-min-version 1.3", false),
    ] {
        let running = probe(&format!("-w 1 {arguments} {setting}")).start();
        let address = running.ready();
        let connect = |version| Client::connect_tls(address, &certificate.trusted_with(version));
        let mut client = connect(&TLS13).unwrap();
        let seen = client.get("/tls").unwrap().text();
        assert!(
            seen.starts_with("TLSv1.3 TLS_AES_256_GCM_SHA384 name=localhost"),
            "{seen}"
        );
        match connect(&TLS12) {
            Ok(mut client) => {
                assert!(old, "{setting}");
                let seen = client.get("/tls").unwrap().text();
                assert!(seen.starts_with("TLSv1.2 TLS_ECDHE_"), "{seen}");
            }
            Err(error) => assert!(!old, "{setting}: {error}"),
        }
    }
}

#[test]
fn settings_of_a_file_and_of_the_environment_are_lists() {
    let directory = tempfile::tempdir().unwrap();
    let (one, other) = (Certificate::of(&["a.example"], |_| {}), Certificate::new());
    let _ = one.write_as(directory.path(), "a.pem", "a.key");
    let _ = other.write_as(directory.path(), "b.pem", "b.key");
    let file = directory.path().join("shop.toml");
    let text = "workers = 1\nbind = \"127.0.0.1:0\"\ntls_certificate = [\"a.pem\", \"b.pem\"]\ntls_key = [\"a.key\", \"b.key\"]\n";
    fs::write(&file, text).unwrap();
    let serves = |program: Program| {
        let running = program.directory(directory.path()).start();
        let client = Client::connect_tls(running.ready(), &other.trusted());
        assert_eq!(client.unwrap().get("/encrypted").unwrap().text(), "true");
    };
    serves(probe("").arg("--config").arg(&file));
    let by_environment = probe("-w 1")
        .env("TOWER_PREFORK_TLS_CERTIFICATE", "a.pem,b.pem")
        .env("TOWER_PREFORK_TLS_KEY", "a.key,b.key");
    serves(by_environment);
}
