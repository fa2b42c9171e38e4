"""The variables."""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any
from wsgiref.util import request_uri

import pytest

from pep3333.rules import VARIABLES as DOCUMENTED
from pep3333.rules import rule

if TYPE_CHECKING:
    from pep3333.conftest import Site

VARIABLES = "environ Variables"
UNICODE = "Unicode Issues"


def told(site: Site, target: str = "/environ", method: str = "GET", **more: Any) -> dict[str, Any]:
    """The values of the variables that JSON can tell."""
    response = site.get(target, method, **more)
    assert response.code == 200, response.raw
    values: dict[str, Any] = json.loads(response.text)["values"]
    return values


@rule(VARIABLES, "MUST", "`REQUEST_METHOD` is the method; it is never empty.")
@pytest.mark.parametrize(
    "method", ["GET", "POST", "PUT", "PATCH", "DELETE", "OPTIONS", "TRACE", "BREW", "get"]
)
def test_request_method(bare: Site, method: str) -> None:
    assert told(bare, method=method)["REQUEST_METHOD"] == method


@rule(
    VARIABLES,
    "MUST",
    "`PATH_INFO` is the decoded path, `QUERY_STRING` what follows the `?`, as sent.",
)
@pytest.mark.parametrize(
    ("target", "path", "query"),
    [
        ("/environ", "/environ", ""),
        ("/environ?", "/environ", ""),
        ("/environ/", "/environ/", ""),
        ("/environ/a%20b%2Fc%25", "/environ/a b/c%", ""),
        ("/environ/../x//y/./", "/environ/../x//y/./", ""),
        ("/environ/a+b;c=d", "/environ/a+b;c=d", ""),
        ("/environ/100%", "/environ/100%", ""),
        ("/environ?a=%20b&c?d/+", "/environ", "a=%20b&c?d/+"),
        ("http://test/environ/x?y", "/environ/x", "y"),
    ],
)
def test_path_and_query(site: Site, target: str, path: str, query: str) -> None:
    values = told(site, target)
    assert (values["PATH_INFO"], values["QUERY_STRING"]) == (path, query)


@rule(VARIABLES, "MAY", "`SCRIPT_NAME` is empty where the application is the root of the server.")
def test_script_name_is_empty(site: Site) -> None:
    assert told(site)["SCRIPT_NAME"] == ""


@rule(
    VARIABLES,
    "MUST",
    "`CONTENT_TYPE` and `CONTENT_LENGTH` are those of the request, and absent without.",
)
def test_content_type_and_length(site: Site) -> None:
    values = told(
        site, method="POST", headers=[("Content-Type", "text/x; charset=y")], body=b"12345"
    )
    assert (values["CONTENT_TYPE"], values["CONTENT_LENGTH"]) == ("text/x; charset=y", "5")
    assert told(site, method="POST", body=b"")["CONTENT_LENGTH"] == "0"
    values = told(site)
    assert not {"CONTENT_TYPE", "CONTENT_LENGTH"} & set(values)


@rule(
    VARIABLES,
    "MUST",
    "`SERVER_NAME` and `SERVER_PORT` are there and not empty, also without a `Host`.",
)
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_server_name_and_port(site: Site, version: str) -> None:
    values = told(site, version=version)
    assert (values["SERVER_NAME"], values["SERVER_PORT"]) == (site.address[0], str(site.address[1]))
    assert ("HTTP_HOST" in values) == (version == "1.1")


@rule(VARIABLES, "MUST", "`SERVER_PROTOCOL` is the version that the client used.")
@pytest.mark.parametrize("version", ["1.0", "1.1"])
def test_server_protocol(site: Site, version: str) -> None:
    assert told(site, version=version)["SERVER_PROTOCOL"] == f"HTTP/{version}"


@rule(
    VARIABLES,
    "SHOULD",
    "Other CGI variables: `REMOTE_ADDR`, `REMOTE_PORT`, `SERVER_SOFTWARE`, `REQUEST_URI`.",
)
def test_other_cgi_variables(site: Site) -> None:
    target = "/environ/a%2Fb?c=%20"
    with site.connect() as connection:
        host, port = connection.socket.getsockname()
        site.request(connection, target)
        values = json.loads(connection.response().text)["values"]
    assert (values["REMOTE_ADDR"], values["REMOTE_PORT"]) == (host, str(port))
    assert (values["REQUEST_URI"], values["RAW_URI"]) == (target, target)
    # RFC 3875 section 4.1.17: a product and its version.
    assert re.fullmatch(r"tower-wsgi/\d+\.\d+\.\d+\S*", values["SERVER_SOFTWARE"])


@rule(VARIABLES, "SHOULD", "A variable without a value is left out.")
def test_missing_variables_are_left_out(bare: Site) -> None:
    types = json.loads(bare.get("/environ").text)["types"]
    assert "NoneType" not in types.values()
    absent = {"REMOTE_USER", "AUTH_TYPE", "HTTPS", "PATH_TRANSLATED", "REMOTE_HOST", "HTTP_COOKIE"}
    assert not absent & set(types)


@rule(VARIABLES, "MUST", "Every CGI variable is a `str`, exactly.")
@rule(UNICODE, "MUST NOT", "No string has a character beyond U+00FF.")
def test_variables_are_native_strings(site: Site) -> None:
    headers = [("X-Name", "gr\xfc\xdfe"), ("Cookie", "a=\xe9"), ("Content-Type", "text/\xfe")]
    response = json.loads(
        site.get("/environ/%FF%E2%98%83", "POST", headers=headers, body=b"x").text
    )
    names = {name for name in response["types"] if "." not in name}
    assert {response["types"][name] for name in names} == {"str"}
    values = response["values"]
    assert all(max(values[name], default="\0") <= "\xff" for name in names)
    assert values["PATH_INFO"] == "/environ/\xff\xe2\x98\x83"
    assert (values["HTTP_X_NAME"], values["HTTP_COOKIE"]) == ("gr\xfc\xdfe", "a=\xe9")
    assert values["CONTENT_TYPE"] == "text/\xfe"


@rule(
    VARIABLES,
    "MUST",
    "`wsgi.version`, `wsgi.url_scheme`, `wsgi.run_once`, `wsgi.input`, `wsgi.errors` are there.",
)
def test_wsgi_variables(bare: Site) -> None:
    response = json.loads(bare.get("/environ").text)
    values = response["values"]
    assert (response["types"]["wsgi.version"], values["wsgi.version"]) == ("tuple", [1, 0])
    assert (values["wsgi.url_scheme"], values["wsgi.run_once"]) == ("http", False)
    assert values["wsgi.input_terminated"] is True
    assert {"wsgi.input", "wsgi.errors", "wsgi.file_wrapper"} <= set(response["types"])


@rule(
    VARIABLES,
    "SHOULD",
    "`wsgi.multithread` tells whether another thread may call the application meanwhile.",
)
@rule("Thread Support", "SHOULD", "There is an option to run an application in a single thread.")
def test_multithread_is_truthful(bare: Site) -> None:
    assert told(bare)["wsgi.multithread"] is (bare.mode == "pool")
    if bare.mode == "pool":
        connections = [bare.connect() for _ in range(3)]
        for connection in connections:
            bare.request(connection, "/at_once")
        for connection in connections:
            assert connection.response().body == b"together"
            connection.socket.close()


@rule(
    VARIABLES,
    "SHOULD",
    "`wsgi.multiprocess` tells whether another process may: a worker has a sibling.",
)
def test_multiprocess(site: Site) -> None:
    # One worker, too: while it is replaced, it and the new one are called.
    assert told(site)["wsgi.multiprocess"] is True


@rule(VARIABLES, "SHOULD", "What variables there are is documented: below.")
def test_variables_are_documented(bare: Site) -> None:
    headers = [("Content-Type", "a/b")]
    types = json.loads(bare.get("/environ", "POST", headers=headers, body=b"x").text)["types"]
    assert {name for name in types if not name.startswith("HTTP_")} | {"HTTP_..."} == set(
        DOCUMENTED
    )


@rule(VARIABLES, "SHOULD", "Variables of the server have lower-case names with a prefix.")
def test_names_of_extensions(bare: Site) -> None:
    types = json.loads(bare.get("/environ").text)["types"]
    dotted = {name for name in types if "." in name}
    assert all(re.fullmatch(r"(wsgi|pulsar)\.[a-z0-9._]+", name) for name in dotted)
    others = {name for name in types if name not in dotted}
    assert all(re.fullmatch(r"[A-Z][A-Z0-9_]*", name) for name in others)


def test_extensions(bare: Site) -> None:
    with bare.connect() as connection:
        address = connection.socket.getsockname()
        bare.request(connection, "/extensions")
        response = json.loads(connection.response().text)
    assert response == {
        "address": list(address),
        "server_address": list(bare.address),
        "thread_workers": 3 if bare.mode == "pool" else 0,
    }


@rule("URL Reconstruction", "MUST", "The URL can be put together from the variables.")
@pytest.mark.parametrize("host", ["test", "test:8080", "[::1]:80", None])
def test_url_reconstruction(bare: Site, host: str | None) -> None:
    with bare.connect() as connection:
        lines = ["GET /environ/a%20b?c=d HTTP/1.0", *([f"Host: {host}"] if host else []), "", ""]
        connection.send("\r\n".join(lines).encode())
        values = json.loads(connection.response().text)["values"]
    expected = host or ":".join(map(str, bare.address))
    assert request_uri(values) == f"http://{expected}/environ/a%20b?c=d"
