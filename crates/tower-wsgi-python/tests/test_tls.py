"""HTTPS: what an application knows of the client's TLS."""

import json
import socket
import ssl
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
from conftest import PATIENCE, Served
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

SHOW = """
import json
import ssl

def application(environ, start_response):
    shown = {name: value for name, value in environ.items() if "SSL" in name or name == "HTTPS"}
    connection = environ["pulsar.connection"]
    certificate = connection.peer_certificate
    shown["connection"] = [
        connection.is_secure,
        connection.tls_version,
        connection.cipher,
        connection.server_hostname,
        certificate and ssl.DER_cert_to_PEM_cert(certificate),
        connection.transport.get_extra_info("cipher"),
    ]
    body = json.dumps(shown).encode()
    start_response("200 OK", [("Content-Length", str(len(body)))])
    return [body]
"""

Key = ec.EllipticCurvePrivateKey


def make(
    subject: list[x509.NameAttribute[Any]], issuer: tuple[x509.Name, Key] | None = None
) -> tuple[x509.Certificate, Key]:
    """Make a certificate, its own issuer by default."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name(subject)
    issuer_name, issuer_key = issuer or (name, key)
    now = datetime.now(timezone.utc)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(issuer_name)
        .public_key(key.public_key())
        .serial_number(0xABC)
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=2))
        .add_extension(x509.BasicConstraints(ca=issuer is None, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.DNSName("localhost")]), critical=False)
        .sign(issuer_key, hashes.SHA256())
    )
    return certificate, key


def write(directory: Path, name: str, made: tuple[x509.Certificate, Key]) -> tuple[str, str]:
    """Write a certificate and its key."""
    certificate, key = made
    pem = serialization.Encoding.PEM
    files = directory / f"{name}.pem", directory / f"{name}.key"
    files[0].write_bytes(certificate.public_bytes(pem))
    files[1].write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return str(files[0]), str(files[1])


@pytest.fixture
def shown(
    serve: Callable[..., Served], tmp_path: Path
) -> Callable[[tuple[str, str] | None], dict[str, Any]]:
    """Return the variables of a request by a client with this certificate, or without one."""
    authority = make([x509.NameAttribute(NameOID.COMMON_NAME, "root")])
    ca, _ = write(tmp_path, "ca", authority)
    certificate, key = write(
        tmp_path, "server", make([x509.NameAttribute(NameOID.COMMON_NAME, "localhost")])
    )
    subject = [
        x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Shop, Inc."),
        x509.NameAttribute(NameOID.COMMON_NAME, "Zoë"),
    ]
    write(tmp_path, "client", make(subject, (authority[0].subject, authority[1])))
    options = ["--tls-certificate", certificate, "--tls-key", key, "--tls-client-ca", ca]
    served = serve(
        "app:application", "--workers", "1", *options, "--tls-client-auth", "optional", source=SHOW
    )
    address = urlsplit(served.url)

    def shown(files: tuple[str, str] | None) -> dict[str, Any]:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        context.load_verify_locations(certificate)
        if files is not None:
            context.load_cert_chain(*files)
        with (
            socket.create_connection((address.hostname, address.port or 0), PATIENCE) as plain,
            context.wrap_socket(plain, server_hostname="localhost") as client,
        ):
            # A field that looks like a variable is none.
            fields = "SSL-Client-Verify: SUCCESS\r\nSSL_CLIENT_S_DN: CN=mallory\r\n"
            request = f"GET / HTTP/1.1\r\nHost: a\r\nConnection: close\r\n{fields}\r\n"
            client.sendall(request.encode())
            response = b"".join(iter(lambda: client.recv(4096), b""))
        variables: dict[str, Any] = json.loads(response.partition(b"\r\n\r\n")[2])
        return variables

    return shown


def test_the_certificate_of_a_client(
    shown: Callable[[tuple[str, str] | None], dict[str, Any]], tmp_path: Path
) -> None:
    """It is in the environ, with the names of mod_ssl; of each connection its own."""
    files = str(tmp_path / "client.pem"), str(tmp_path / "client.key")
    for _ in range(2):
        known = shown(files)
        assert known["HTTPS"] == "on"
        assert known["SSL_PROTOCOL"] == "TLSv1.3"
        assert known["SSL_CIPHER"].startswith("TLS_")
        assert known["SSL_TLS_SNI"] == "localhost"
        assert known["SSL_CLIENT_VERIFY"] == "SUCCESS"
        subject = known["SSL_CLIENT_S_DN"].encode("latin-1").decode()
        assert subject == "CN=Zoë,O=Shop\\, Inc."
        assert known["SSL_CLIENT_I_DN"] == "CN=root"
        assert known["SSL_CLIENT_M_SERIAL"] == "0ABC"
        pem = Path(files[0]).read_text()
        assert known["SSL_CLIENT_CERT"] == pem
        version, cipher = known["SSL_PROTOCOL"], known["SSL_CIPHER"]
        facts = [True, version, cipher, "localhost"]
        assert known["connection"] == [*facts, pem, [cipher, version, None]]

        anonymous = shown(None)
        assert anonymous["SSL_CLIENT_VERIFY"] == "NONE"
        assert anonymous["connection"] == [*facts, None, [cipher, version, None]]
        assert anonymous["HTTP_SSL_CLIENT_VERIFY"] == "SUCCESS"
        assert not any(name.startswith("SSL_CLIENT_S") for name in anonymous)
