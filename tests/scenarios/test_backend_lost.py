"""A backend that dies takes no client's idempotent request with it, as long as another one lives; without any, clients hear why."""

from __future__ import annotations

import json

import pytest

from tests.conftest import Stage
from tests.support.load import Load, faults_in
from tests.support.ports import free_port
from tests.support.shared import assert_books_close
from tests.support.waiting import eventually


def test_killed_under_load(stage: Stage) -> None:
    """kill -9 of one of three backends while clients ask: no client sees an error."""
    apps = [stage.app(f"app{number}") for number in range(3)]
    proxy = stage.proxy(*[app.address for app in apps], workers=2)
    with Load(proxy.port(), stage.authority.file, connections=24) as load:
        proxy.wait_access(count=500, status=200)
        apps[0].kill()
        seen = len(proxy.access())
        proxy.wait_access(count=seen + 500, status=200)
        outcomes = load.stop()
    assert outcomes["ok"] >= 1000
    assert not faults_in(outcomes), (outcomes, load.faults[:5])
    assert_books_close(proxy)


def test_comes_back(stage: Stage) -> None:
    """A backend that was down is told so once, left alone, and used again after it recovered."""
    first, second = stage.app("first"), stage.app("second")
    quick = {"type": "tcp", "interval": "100ms", "timeout": "10s", "rise": 2, "fall": 2}
    proxy = stage.proxy(first.address, second.address, app={"health": quick})
    proxy.wait_up(first.address, second.address)

    def names() -> set[str]:
        client = stage.client(proxy)
        return {str(json.loads(client.request("GET", "/echo").body)["name"]) for _ in range(6)}

    assert names() == {"first", "second"}
    first.kill()
    proxy.wait_event("backend.down", backend=first.address)
    assert names() == {"second"}
    first.start()
    proxy.wait_event("backend.up", backend=first.address, skip=1)
    eventually(lambda: names() == {"first", "second"}, "both backends in use")
    assert len([event for event in proxy.events("backend.down") if event["backend"] == first.address]) == 1


def test_refused_connection_moves_on(stage: Stage) -> None:
    """A backend that refuses connections before any health check noticed: also a POST goes to the next one."""
    app = stage.app()
    nobody = f"127.0.0.1:{free_port()}"
    proxy = stage.proxy(nobody, app.address, app={"health": {"type": "off"}})
    client = stage.client(proxy)
    for _ in range(4):
        response = client.request("POST", "/echo", body=b"precious")
        assert (response.status, json.loads(response.body)["length"]) == (200, 8)
    assert any(line["tries"] == 2 for line in proxy.wait_access(count=4, status=200))


@pytest.mark.parametrize("health", ["tcp", "off"])
def test_all_down(stage: Stage, health: str) -> None:
    """503 (or 502 when only the connect failed) with the reason, Retry-After on the 503; the connection stays usable."""
    proxy = stage.proxy(f"127.0.0.1:{free_port()}", app={"health": {"type": health}})
    client = stage.client(proxy)
    if health == "tcp":
        proxy.wait_event("backend.down")
    response = client.request("GET", "/")
    assert response.status == (503 if health == "tcp" else 502)
    if response.status == 503:
        assert int(response.get("retry-after") or "") >= 1
    [line] = proxy.wait_access(status=response.status)
    assert line["reason"]
    assert line["reason"].encode() in response.body
    assert client.request("GET", "/").status == response.status


def test_all_killed_then_back(stage: Stage) -> None:
    """Every backend dies: 503s, no hanging. One returns: served again without anybody's doing."""
    app = stage.app()
    quick = {"type": "tcp", "interval": "100ms", "timeout": "10s", "rise": 1, "fall": 1}
    proxy = stage.proxy(app.address, workers=2, app={"health": quick})
    client = stage.client(proxy)
    assert client.request("GET", "/echo").status == 200
    app.kill()
    proxy.wait_event("backend.down")
    assert client.request("GET", "/echo").status == 503
    app.start()
    proxy.wait_event("backend.up", skip=1)
    eventually(lambda: client.request("GET", "/echo").status == 200, "served again")
    assert_books_close(proxy)


def test_http_health_check(stage: Stage) -> None:
    """type = "http" looks at the status: a backend that answers 500 to its check gets no requests."""
    sick, fit = stage.app("sick"), stage.app("fit")
    config = stage.config(fit.address, app={"health": {"type": "http", "path": "/status/200", "interval": "100ms"}})
    config["pool"]["ill"] = {
        "backends": [sick.address],
        "health": {"type": "http", "path": "/status/500", "interval": "100ms", "fall": 2},
        "fail_open": 0,
    }
    config["route"] = [{"path": "/ill", "pool": "ill"}, {"pool": "app"}]
    proxy = stage.run(config)
    down = proxy.wait_event("backend.down", backend=sick.address)
    assert "500" in down["why"]
    client = stage.client(proxy)
    assert client.request("GET", "/echo").status == 200
    assert client.request("GET", "/ill").status == 503
    assert not [event for event in proxy.events("backend.down") if event["backend"] == fit.address]
