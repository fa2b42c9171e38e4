"""What a router does for each request; `stress.routing` measures its time beside Flask's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from stress import routing
from werkzeug.routing import Map, MapAdapter, Rule

from tower_wsgi import wsgi

if TYPE_CHECKING:
    import pytest


def test_a_request_costs_one_match(monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[str] = []

    def count(cls: type, name: str) -> None:
        method = getattr(cls, name)

        def counted(self: Any, *args: Any, **kwargs: Any) -> Any:
            calls.append(f"{cls.__name__}.{name}")
            return method(self, *args, **kwargs)

        monkeypatch.setattr(cls, name, counted)

    router = wsgi.Router("/", *(wsgi.Router(f"r{n}/<x>", get=lambda r: "x") for n in range(100)))
    assert router(wsgi.test_wsgi_environ("/r0/a")) is not None
    for cls, name in [
        (MapAdapter, "match"),
        (MapAdapter, "__init__"),
        (Map, "__init__"),
        (Map, "bind"),
        (Rule, "compile"),
    ]:
        count(cls, name)
    for number in range(10):
        assert router(wsgi.test_wsgi_environ(f"/r{number}/a")) is not None
    # Nothing else is compiled or bound.
    assert calls == ["MapAdapter.match"] * 10


def test_the_measurement_runs() -> None:
    rows = routing.measure(rounds=1, requests=80)
    names = [row.name for row in rows]
    assert [name for name in names if "Flask" in name]
    assert [name for name in names if "wsgi.Router" in name]
    assert rows[0].beyond == 0
    assert len(routing.table(rows).splitlines()) == len(rows) + 1


def test_all_ways_find_a_handler() -> None:
    responses = {}
    for name, call in routing._ways().items():
        for number in range(routing.SECTIONS):
            for path in routing._paths(number):
                responses[name, path] = call(wsgi.test_wsgi_environ(path))
    assert None not in responses.values()
