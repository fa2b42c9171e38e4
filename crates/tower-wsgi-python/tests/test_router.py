"""`wsgi.Router`: its rules, one test each."""

from __future__ import annotations

import asyncio
import io
import subprocess
import sys
import threading
from typing import TYPE_CHECKING, Any

import pytest
import requests
from conftest import PATIENCE, call

from tower_wsgi import rpc, wsgi
from tower_wsgi.testing import LiveServer
from tower_wsgi.wsgi.awaitables import resolve

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from conftest import Response, Served

METHODS = ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"]


def say(text: str) -> Any:
    return lambda request: text


def ask(router: wsgi.Router, path: str = "/", method: str = "GET", **environ: Any) -> Response:
    extra = {"wsgi.errors": io.StringIO(), **environ}
    request = wsgi.test_wsgi_environ("/", method, extra=extra)
    request["PATH_INFO"] = path.encode().decode("latin-1")
    return call(wsgi.WsgiHandler([router]), request)


def text(router: wsgi.Router, path: str = "/", **environ: Any) -> str:
    response = ask(router, path, **environ)
    assert response.code == 200
    return response.body.decode()


def test_a_path_that_no_rule_matches_is_passed_on() -> None:
    first, second = wsgi.Router("/a", get=say("a")), wsgi.Router("/b", get=say("b"))
    request = wsgi.test_wsgi_environ("/b")
    assert first(request) is None
    assert call(wsgi.WsgiHandler([first, second]), request).body == b"b"
    assert ask(first, "/c").code == 404


@pytest.mark.parametrize("method", METHODS)
def test_a_method_handles_the_http_method_of_its_name(method: str) -> None:
    def handler(request: wsgi.WsgiRequest) -> wsgi.WsgiResponse:
        return wsgi.WsgiResponse(200, f"{request.method} here", [("X-Method", request.method)])

    router = wsgi.Router("/a", **{method.lower(): handler})
    assert ask(router, "/a", method).headers["x-method"] == method


@pytest.mark.parametrize("method", ["LINK", "PATH", "ROUTER", "GETPARAM", "__INIT__", "TRACE"])
def test_no_other_attribute_is_a_handler(method: str) -> None:
    with pytest.raises(wsgi.MethodNotAllowed):
        wsgi.Router("/", get=say(""))(wsgi.test_wsgi_environ("/", method))


@pytest.mark.parametrize("parent", ["/blog", "/blog/", "blog", "//blog//"])
@pytest.mark.parametrize("child", ["post", "/post"])
def test_the_rule_of_a_child_is_below_that_of_its_parent(parent: str, child: str) -> None:
    router = wsgi.Router(parent, wsgi.Router(child, get=say("post")), get=say("blog"))
    assert text(router, "/blog/" if parent.endswith("/") else "/blog") == "blog"
    assert text(router, "/blog/post") == "post"
    assert router.routes[0].rule == "blog/post"
    assert router.routes[0].full_route.path == "/blog/post"
    assert ask(router, "/post").code == 404


@pytest.mark.parametrize(
    ("variable", "segment", "value"),
    [
        ("<x>", "a b", "a b"),
        ("<string(length=2):x>", "de", "de"),
        ("<string(length=2):x>", "deu", None),
        ("<string(minlength=2, maxlength=3):x>", "deu", "deu"),
        ("<int:x>", "07", 7),
        ("<int:x>", "-7", None),
        ("<int(min=2, max=4):x>", "5", None),
        ("<int(fixed_digits=4):x>", "0007", 7),
        ("<float:x>", "1.5", 1.5),
        ("<float:x>", "1", None),
        ("<any(a, b):x>", "b", "b"),
        ("<any(a, b):x>", "c", None),
        ("<path:x>", "a/b/c", "a/b/c"),
        ("v<int:x>.html", "v3.html", 3),
        ("<x>", "Zoë", "Zoë"),
        # More digits than Python converts.
        ("<int:x>", "9" * 5000, None),
    ],
)
def test_converters(variable: str, segment: str, value: object) -> None:
    seen = []
    router = wsgi.Router(f"/v/{variable}", get=lambda request: seen.append(request.urlargs) or "")
    response = ask(router, f"/v/{segment}")
    if value is None:
        assert (response.code, seen) == (404, [])
    else:
        assert seen == [{"x": value}]


def test_values_of_the_parents_reach_the_handler() -> None:
    def show(request: wsgi.WsgiRequest) -> str:
        return repr(dict(request.urlargs))

    router = wsgi.Router("/<int:year>/", wsgi.Router("<month>/", wsgi.Router("<day>", get=show)))
    assert text(router, "/2015/may/3") == "{'year': 2015, 'month': 'may', 'day': '3'}"
    # A router without a handler handles nothing, not even by a 405.
    assert ask(router, "/2015/").code == 404


def test_defaults_are_values_that_the_path_does_not_give() -> None:
    class Pages(wsgi.Router):
        @wsgi.route("all/", defaults={"page": 1})
        def everything(self, request: wsgi.WsgiRequest) -> str:
            return f"page {request.urlargs['page']}"

        @wsgi.route("<int:page>", defaults={"page": 2})
        def one(self, request: wsgi.WsgiRequest) -> str:
            return f"page {request.urlargs['page']}"

    router = Pages("/")
    assert text(router, "/all/") == "page 1"
    assert text(router, "/7") == "page 7"
    one = router.get_route("one")
    assert one is not None
    assert one.path() == "/2"
    assert one.path(page=7) == "/7"


def test_head_comes_from_get() -> None:
    response = ask(wsgi.Router("/", get=say("text")), "/", "HEAD")
    assert (response.code, response.headers["content-length"]) == (200, "4")
    own = wsgi.Router("/", get=say("text"), head=lambda request: wsgi.WsgiResponse(204))
    assert ask(own, "/", "HEAD").code == 204


def test_options_lists_the_methods() -> None:
    router = wsgi.Router("/", wsgi.Router("<x>", put=say("")), wsgi.Router("a", get=say("")))
    response = ask(router, "/a", "OPTIONS")
    assert (response.code, response.body) == (200, b"")
    # Of all rules that match.
    assert response.headers["allow"] == "GET, HEAD, OPTIONS, PUT"
    assert ask(router, "/b", "OPTIONS").headers["allow"] == "OPTIONS, PUT"
    assert ask(router, "/b/c", "OPTIONS").code == 404


def test_a_method_without_a_handler_is_a_405_with_those_that_have_one() -> None:
    router = wsgi.Router("/", wsgi.Router("<x>", put=say("")), wsgi.Router("a", get=say("")))
    response = ask(router, "/a", "POST")
    assert response.code == 405
    assert response.headers["allow"] == "GET, HEAD, OPTIONS, PUT"
    with pytest.raises(wsgi.MethodNotAllowed):
        router.resolve("/a", "POST")


@pytest.mark.parametrize(
    ("path", "location"),
    [
        ("/dir", "/dir/"),
        ("//dir//x", "/dir/x"),
        ("/dir//x", "/dir/x"),
        ("//evil.example//dir/", None),
        ("/dir/Zoë//x", "/dir/Zo%C3%AB/x"),
        ("//\\evil.example//x/y", "/%5Cevil.example/x/y"),
    ],
)
def test_a_path_that_is_not_canonical_is_redirected(path: str, location: str | None) -> None:
    router = wsgi.Router("/", wsgi.Router("dir/", get=say("")), wsgi.Router("dir/x", get=say("")))
    router.add_child(wsgi.Router("<a>/<b>/x", get=say("")))
    router.add_child(wsgi.Router("<a>/x/y", get=say("")))
    response = ask(router, path, QUERY_STRING="a=1&b=%20", HTTP_HOST="evil.example")
    if location is None:
        assert response.code == 404
    else:
        assert response.code == 308
        assert response.headers["location"] == f"{location}?a=1&b=%20"


def test_a_redirect_stays_where_the_application_is_mounted() -> None:
    response = ask(
        wsgi.Router("/dir/", get=say("")), "/dir", SCRIPT_NAME="/ä".encode().decode("latin-1")
    )
    assert response.headers["location"] == "/%C3%A4/dir/"


def test_the_most_specific_rule_is_chosen() -> None:
    router = wsgi.Router("/", wsgi.Router("<path:x>", get=say("path")))
    router.add_child(wsgi.Router("<x>", get=say("text")))
    router.add_child(wsgi.Router("<int:x>", get=say("number")))
    router.add_child(wsgi.Router("1", get=say("one")))
    found = [text(router, path) for path in ("/1", "/2", "/two", "/a/b")]
    assert found == ["one", "number", "text", "path"]


class Declared(wsgi.Router):
    @wsgi.route()
    def plain(self, request: wsgi.WsgiRequest) -> str:
        return "plain"

    @wsgi.route()
    def post_form(self, request: wsgi.WsgiRequest) -> str:
        return f"posted {self.name}"

    @wsgi.route("form", method="put")
    def change(self, request: wsgi.WsgiRequest) -> str:
        return "changed"

    @wsgi.route("several", method=("patch", "DELETE"), colour="red")
    def several(self, request: wsgi.WsgiRequest) -> str:
        return f"{request.method} {request.app_handler.colour}"

    @wsgi.route("<first>", position=1)
    def first(self, request: wsgi.WsgiRequest) -> str:
        return "first"

    @wsgi.route("<second>", position=-1)
    def second(self, request: wsgi.WsgiRequest) -> str:
        return "second"


def test_a_declared_method_is_a_child() -> None:
    router = Declared("/d/")
    assert text(router, "/d/plain") == "plain"
    # The handler is a method of the router that declares it.
    assert ask(router, "/d/form", "POST").body == b"posted d"
    assert ask(router, "/d/form", "PUT").body == b"changed"
    # Two rules are for any name.
    assert ask(router, "/d/form", "GET").body == b"second"
    assert ask(router, "/d/several", "DELETE").body == b"DELETE red"
    assert ask(router, "/d/several", "PATCH").body == b"PATCH red"
    plain = router.get_route("plain")
    assert plain is not None
    assert plain.parent is router


def test_the_position_decides_between_equal_rules() -> None:
    assert text(Declared("/"), "/x") == "second"
    names = ["second", "plain", "post_form", "change", "several", "first"]
    assert sorted(Declared.rule_methods) == sorted(names)
    assert next(iter(Declared.rule_methods)) == "second"


def test_a_subclass_overrides_what_is_declared() -> None:
    class Sub(Declared):
        def plain(self, request: wsgi.WsgiRequest) -> str:
            return "not a child"

        @wsgi.route("<second>")
        def second(self, request: wsgi.WsgiRequest) -> str:
            return "overridden, at its old position"

    router = Sub("/")
    assert text(router, "/x") == "overridden, at its old position"
    assert text(router, "/plain") == "overridden, at its old position"
    assert "plain" not in Sub.rule_methods


def test_a_mixin_declares_as_well() -> None:
    class Mixin:
        colour = wsgi.RouterParam("blue")

        @wsgi.route()
        def mixed(self, request: wsgi.WsgiRequest) -> str:
            return f"mixed {request.app_handler.colour}"

    class Mixed(Mixin, wsgi.Router):
        pass

    assert text(Mixed("/"), "/mixed") == "mixed blue"


def test_what_cannot_be_declared() -> None:
    with pytest.raises(ValueError, match="converter"):
        wsgi.route("a+", re=True)
    with pytest.raises(ValueError, match="brew"):
        wsgi.route("a", method="brew")(say(""))


def test_a_function_is_a_child() -> None:
    router = wsgi.Router("/")

    @router.router("/hello", methods=["get", "post"])
    def hello(request: wsgi.WsgiRequest) -> str:
        return f"hello by {request.method}"

    assert text(router, "/hello") == "hello by GET"
    assert ask(router, "/hello", "POST").body == b"hello by POST"
    child = router.get_route("hello")
    assert child is not None
    assert child.rule == "hello"


def test_children_inherit_parameters() -> None:
    class Coloured(wsgi.Router):
        colour = wsgi.RouterParam("red")
        size = wsgi.RouterParam()

    leaf = wsgi.Router("c")
    own = Coloured("b", colour="blue")
    none = Coloured("n")
    top = Coloured("/", wsgi.Router("a", leaf), own, none, colour="green", other="other")
    assert (leaf.colour, own.colour, none.colour, top.colour) == ("green", "blue", "red", "green")
    assert leaf.size is None
    top.size = 3
    assert (leaf.size, own.size) == (3, 3)
    with pytest.raises(AttributeError, match="other"):
        _ = leaf.other
    assert leaf.getparam("other") is None
    assert leaf.getparam("other", parents=True) == "other"
    assert leaf.getparam("missing", 7, parents=True) == 7


def test_the_content_type_is_one_that_the_client_accepts() -> None:
    types = ("application/json", "text/html")
    router = wsgi.Router("/", wsgi.Router("a", get=say("text")), response_content_types=types)

    def accepted(accept: str | None) -> Response:
        return ask(router, "/a", **({} if accept is None else {"HTTP_ACCEPT": accept}))

    assert accepted(None).headers["content-type"] == "application/json"
    assert accepted("*/*").headers["content-type"] == "application/json"
    html = accepted("text/html, application/json;q=0.5")
    assert html.headers["content-type"].startswith("text/html")
    assert html.headers["vary"] == "Accept"
    refused = accepted("image/png")
    assert refused.code == 406
    assert "Accept" in refused.headers["vary"]
    assert accepted("text/html;q=0").code == 406


def test_a_handler_sees_and_replaces_the_content_type() -> None:
    def choose(request: wsgi.WsgiRequest) -> wsgi.WsgiResponse:
        response = request.response
        response.content = f"as {response.content_type}".encode()
        return response

    def own(request: wsgi.WsgiRequest) -> wsgi.WsgiResponse:
        return wsgi.WsgiResponse(200, b"x", content_type="image/png")

    types = ("text/html", "text/plain")
    router = wsgi.Router("/", get=choose, post=own, response_content_types=types)
    assert ask(router, HTTP_ACCEPT="text/plain").body == b"as text/plain"
    assert ask(router, "/", "POST").headers["content-type"] == "image/png"


def test_a_wrapper_is_called_in_place_of_the_handlers() -> None:
    def wrapper(handler: Any, request: wsgi.WsgiRequest) -> str:
        return f"<{handler(request)}>"

    router = wsgi.Router("/", wsgi.Router("a", get=say("a")), response_wrapper=wrapper)
    assert text(router, "/a") == "<a>"


def test_paths_and_links() -> None:
    router = wsgi.Router("/blog/<int:year>/", wsgi.Router("<name>"))
    child = router.routes[0]
    assert child.path(year=2015, name="a?b ä") == "/blog/2015/a%3Fb%20%C3%A4"
    assert router.path(year=1) == "/blog/1/"
    assert child.link("a & b", year=1, name="x") == '<a href="/blog/1/x">a &amp; b</a>'
    assert router.link(year=1) == '<a href="/blog/1/">/blog/1/</a>'
    with pytest.raises(KeyError, match="name"):
        child.path(year=1)
    with pytest.raises(ValueError, match="blog"):
        wsgi.Router("/blog/<any(a, b):x>").path(x="c")
    # The path of a built URL matches again.
    found = wsgi.Route("/<int:year>/<path:rest>")
    assert found.match(found.url(year=3, rest="a/b")) == {"year": 3, "rest": "a/b"}


def test_children_come_and_go() -> None:
    child = wsgi.Router("a", get=say("a"))
    first, second = wsgi.Router("/1/"), wsgi.Router("/2/")
    assert ask(first, "/1/a").code == 404
    assert first.add_child(child) is child
    assert first.add_child(child) is child
    assert text(first, "/1/a") == "a"
    with pytest.raises(ValueError, match="1/"):
        first.add_child(wsgi.Router("/a"))
    second.add_child(child)
    assert (first.routes, child.parent, child.root) == ([], second, second)
    assert (ask(first, "/1/a").code, text(second, "/2/a")) == (404, "a")
    second.remove_child(child)
    second.remove_child(child)
    assert ask(second, "/2/a").code == 404
    assert child.parent is None
    with pytest.raises(TypeError, match="Router"):
        first.add_child("/a")  # type: ignore[arg-type]
    first.add_child(second)
    with pytest.raises(ValueError, match="itself"):
        second.add_child(first)
    assert second.has_parent(first)
    assert not first.has_parent(second)
    first.add_child(child, index=0)
    assert first.routes == [child, second]


def test_a_handler_that_is_set_later() -> None:
    child = wsgi.Router("a", get=say("old"))
    router = wsgi.Router("/", child)
    assert text(router, "/a") == "old"
    child.get = say("new")
    child.put = say("put")
    assert text(router, "/a") == "new"
    assert ask(router, "/a", "PUT").body == b"put"


def test_requests_while_children_change() -> None:
    router = wsgi.Router("/", wsgi.Router("a", get=say("a")))
    stop = threading.Event()
    seen: set[object] = set()

    def load() -> None:
        while not stop.is_set():
            seen.add(ask(router, "/a").body)

    threads = [threading.Thread(target=load) for _ in range(4)]
    for thread in threads:
        thread.start()
    for number in range(20):
        child = router.add_child(wsgi.Router(f"n{number}", get=say("n")))
        assert text(router, f"/n{number}") == "n"
        router.remove_child(child)
        assert ask(router, f"/n{number}").code == 404
    stop.set()
    for thread in threads:
        thread.join(PATIENCE)
    assert seen == {b"a"}


def test_names() -> None:
    router = wsgi.Router("/", wsgi.Router("a/<int:x>", wsgi.Router("deep", name="found")))
    assert router.routes[0].name == "a_int_x"
    found = router.get_route("found")
    assert found is not None
    assert (found.root, found.rule) == (router, "a/<int:x>/deep")
    assert router.get_route("missing") is None
    assert router.creation_count > found.creation_count
    assert repr(found) == "/a/<int:x>/deep"


@pytest.mark.parametrize(
    ("result", "body"),
    [
        ("Zoë", "Zoë".encode()),
        (b"bytes", b"bytes"),
        ([b"a", b"b"], b"ab"),
        (iter([b"a", b"b"]), b"ab"),
        (wsgi.WsgiResponse(200, "response"), b"response"),
    ],
)
def test_what_a_handler_returns(result: object, body: bytes) -> None:
    router = wsgi.Router("/", get=lambda request: result, response_content_types=("text/plain",))
    assert ask(router).body == body


@pytest.mark.parametrize("result", [7, {"a": 1}, object()])
def test_what_a_handler_must_not_return(result: object) -> None:
    router = wsgi.Router("/a", get=lambda request: result)
    with pytest.raises(TypeError, match=f"/a returned {type(result).__name__}"):
        router(wsgi.test_wsgi_environ("/a"))
    assert ask(router, "/a").code == 500


@pytest.mark.parametrize("skipped", [False, True])
@pytest.mark.parametrize("later", [False, True])
def test_a_handler_passes_the_request_on(skipped: bool, later: bool) -> None:
    def passing(request: wsgi.WsgiRequest) -> None:
        if skipped:
            raise request.app_handler.SkipRoute

    async def passing_later(request: wsgi.WsgiRequest) -> None:
        await asyncio.sleep(0)
        passing(request)

    first = wsgi.Router("/a", get=passing_later if later else passing)
    chain = wsgi.WsgiHandler([first, wsgi.Router("/a", get=say("second"))])
    assert awaited(chain, "/a") == (200, b"second")


def awaited(application: Any, path: str) -> tuple[int, bytes]:
    """Call an application and await its response, as the server's event loop does."""
    statuses: list[str] = []

    async def drive() -> bytes:
        environ = wsgi.test_wsgi_environ(path, extra={"wsgi.errors": io.StringIO()})
        result = application(environ, lambda status, headers, exc=None: statuses.append(status))
        return b"".join(await resolve(result))

    body = asyncio.run(drive())
    return int(statuses[-1][:3]), body


def test_asynchronous_handlers() -> None:
    class Hello(wsgi.Router):
        async def get(self, request: wsgi.WsgiRequest) -> str:
            await asyncio.sleep(0)
            return "hello"

        @wsgi.route("<name>")
        async def greet(self, request: wsgi.WsgiRequest) -> wsgi.WsgiResponse:
            return wsgi.WsgiResponse(201, f"hello {request.urlargs['name']}")

        @wsgi.route()
        async def fails(self, request: wsgi.WsgiRequest) -> str:
            raise wsgi.PermissionDenied

    application = wsgi.WsgiHandler([Hello("/")])
    assert awaited(application, "/") == (200, b"hello")
    assert awaited(application, "/you") == (201, b"hello you")
    assert awaited(application, "/fails")[0] == 403


@pytest.mark.parametrize("rule", ["<bla", "bla>", "/a/<>", "<a>/<a>", "<nothing:x>", "<int(:x>"])
def test_a_malformed_rule(rule: str) -> None:
    with pytest.raises(ValueError):
        wsgi.Router(rule)
    with pytest.raises(ValueError):
        wsgi.Route(rule)


def test_a_variable_of_the_parent_again() -> None:
    child = wsgi.Router("b/", wsgi.Router("<x>"))
    with pytest.raises(ValueError, match="twice"):
        wsgi.Router("/<x>/", child)


def test_routes() -> None:
    route = wsgi.Route("/a//<int:x>/", {"y": 2}) + wsgi.Route("b/<z>")
    assert (route.rule, route.path, route.is_leaf) == ("a/<int:x>/b/<z>", "/a/<int:x>/b/<z>", True)
    assert route.variables == {"x", "y", "z"}
    assert route.level == 4
    assert route.breadcrumbs == ((False, "a"), (True, "x"), (False, "b"), (True, "z"))
    assert route.match("a/1/b/c") == {"x": 1, "y": 2, "z": "c"}
    assert route.match("/a/b/c") is None
    assert wsgi.Route("a/").match("/a") is None
    assert wsgi.Route("/a") == wsgi.Route("a")
    assert len({wsgi.Route("/a"), wsgi.Route("a")}) == 1
    assert (wsgi.Route("a") + "b").rule == "a/b"
    assert (wsgi.Route("////").rule, wsgi.Route("").path, wsgi.Route("").url()) == ("", "/", "/")
    assert not wsgi.Route("/").is_leaf


def test_a_route_that_ends_with_a_slash_matches_what_is_below() -> None:
    assert wsgi.Route("/").match("b/c") == {"__remaining__": "b/c"}
    route = wsgi.Route("a/<x>/")
    assert route.match("a/1/") == {"x": "1"}
    assert route.match("a/1/b/c/") == {"x": "1", "__remaining__": "b/c/"}
    assert route.match("ab/1/b") is None
    assert wsgi.Route("a").match("a/b") is None


def test_a_route_is_split() -> None:
    assert wsgi.Route("").split() == (wsgi.Route("/"), None)
    assert wsgi.Route("a").split() == (wsgi.Route("/"), wsgi.Route("a"))
    assert wsgi.Route("a/<b>/c/").split() == (wsgi.Route("a/<b>/"), wsgi.Route("c/"))
    assert wsgi.Route("a/<b>/c").split() == (wsgi.Route("a/<b>/"), wsgi.Route("c"))


@pytest.mark.parametrize(
    ("rule", "value", "path"),
    [
        ("<int(2):x>/", 7, "/07/"),
        ("<int(2):x>/", 134, None),
        ("<int(min=1):x>", 0, None),
        ("<int(min=1):x>", -1, None),
        ("<int:x>", "seven", None),
        ("<x>", "", None),
        ("<x>", "a/b", None),
        ("<x>", "100%", "/100%25"),
        ("a/<path:x>", "b/", "/a/b/"),
        ("a/<path:x>", "", None),
        ("<string(length=2):x>", "abc", None),
    ],
)
def test_a_path_is_built_only_if_it_matches(rule: str, value: object, path: str | None) -> None:
    route = wsgi.Route(rule)
    if path is None:
        with pytest.raises(ValueError, match="does not fit"):
            route.url(x=value)
    else:
        assert route.url(x=value) == path


def test_a_path_that_may_be_empty() -> None:
    route = wsgi.Route("a/<int:x>/<path:rest>", {"rest": ""})
    assert route.match("a/1/") == {"x": 1, "rest": ""}
    assert route.match("a/1/b/c") == {"x": 1, "rest": "b/c"}
    assert (route.url(x=1), route.url(x=1, rest="b/c")) == ("/a/1/", "/a/1/b/c")
    show = wsgi.Router("/", wsgi.Router(route, get=lambda request: request.urlargs["rest"] or "-"))
    assert [text(show, path) for path in ("/a/1/", "/a/1/b")] == ["-", "b"]


def test_what_a_class_declares() -> None:
    declared = Declared.rule_methods["post_form"]
    assert (str(declared.rule), declared.rule.rule, declared.method) == ("/form", "form", "post")
    assert declared[0] is declared.rule
    several = Declared.rule_methods["several"]
    assert (several.method, several.parameters["colour"]) == (("patch", "delete"), "red")

    class Coloured(wsgi.Router):
        colour = wsgi.RouterParam("red")

    assert Coloured("/").defaults["colour"] == "red"
    assert "colour" not in wsgi.Router("/").defaults


def test_resolve() -> None:
    router = wsgi.Router("/", wsgi.Router("<int:x>", get=say("x")))
    found = router.resolve("/7")
    assert found is not None
    assert (found.router, found.urlargs) == (router.routes[0], {"x": 7})
    assert router.resolve("/seven") is None
    assert router.resolve("/7", "options") is not None


@pytest.fixture(scope="module")
def served() -> Iterator[str]:
    async def later(request: wsgi.WsgiRequest) -> str:
        await asyncio.sleep(0)
        return "later"

    router = wsgi.Router("/", wsgi.Router("now", get=say("now")), wsgi.Router("later", get=later))
    with LiveServer(router) as server:
        yield server.url


def test_a_router_is_served_as_it_is(served: str) -> None:
    assert requests.get(f"{served}/now", timeout=PATIENCE).text == "now"
    assert requests.get(f"{served}/later", timeout=PATIENCE).text == "later"
    assert requests.get(f"{served}/never", timeout=PATIENCE).status_code == 404
    head = requests.head(f"{served}/now", timeout=PATIENCE)
    assert (head.headers["Content-Length"], head.content) == ("3", b"")
    refused = requests.post(f"{served}/later", timeout=PATIENCE)
    assert (refused.status_code, refused.headers["Allow"]) == (405, "GET, HEAD, OPTIONS")
    assert (
        requests.options(f"{served}/now", timeout=PATIENCE).headers["Allow"]
        == refused.headers["Allow"]
    )


# pulsar's own documentation overrides the latter.
@pytest.mark.parametrize("method", ["setup", "handler"])
def test_a_lazy_router_and_a_router_of_methods(method: str) -> None:
    class Pong(rpc.JSONRPC):
        def rpc_ping(self, request: wsgi.WsgiRequest) -> str:
            return "pong"

    router = wsgi.Router("/", wsgi.Router("rpc", post=Pong()), get=say("page"))

    class Site(wsgi.LazyWsgi):
        pass

    setattr(Site, method, lambda self, environ=None: router)
    with LiveServer(Site()) as server:
        assert requests.get(server.url, timeout=PATIENCE).text == "page"
        assert requests.get(f"{server.url}/missing", timeout=PATIENCE).status_code == 404
        assert requests.get(f"{server.url}/rpc", timeout=PATIENCE).status_code == 405
        call = {"jsonrpc": "2.0", "id": 1, "method": "ping"}
        response = requests.post(f"{server.url}/rpc", json=call, timeout=PATIENCE)
        assert response.json()["result"] == "pong"


def test_the_command_serves_a_router(serve: Callable[..., Served]) -> None:
    source = """
from tower_wsgi import wsgi
application = wsgi.Router("/here", get=lambda request: "here")
"""
    server = serve(source=source)
    assert requests.get(f"{server.url}/here", timeout=PATIENCE).text == "here"
    assert requests.get(f"{server.url}/there", timeout=PATIENCE).status_code == 404
    assert requests.post(f"{server.url}/here", timeout=PATIENCE).status_code == 405


def test_pieces_that_come_later() -> None:
    class Stream(wsgi.Router):
        async def get(self, request: wsgi.WsgiRequest) -> AsyncIterator[bytes]:
            for number in range(3):
                await asyncio.sleep(0)
                yield b"%d" % number

    with LiveServer(Stream("/")) as server:
        assert requests.get(server.url, timeout=PATIENCE).text == "012"


def test_werkzeug_is_imported_when_a_router_needs_it() -> None:
    script = "import sys, tower_wsgi.wsgi; print('werkzeug' in sys.modules)"
    assert _python(script).stdout == "False\n"


WITHOUT_WERKZEUG = """
import sys

class Missing:
    def find_spec(self, name, path=None, target=None):
        if name == "werkzeug":
            raise ModuleNotFoundError(name=name)

sys.meta_path.insert(0, Missing())
from tower_wsgi import wsgi

wsgi.Router("/")
"""


def test_without_werkzeug_the_error_names_the_extra() -> None:
    ended = _python(WITHOUT_WERKZEUG)
    assert ended.returncode == 1
    assert "tower-wsgi[router]" in ended.stderr


def _python(script: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-c", script]
    return subprocess.run(command, capture_output=True, text=True, timeout=PATIENCE, check=False)
