"""Where routes lead, for real: pools by weight over two workers, redirects, answers of our own, an application under a prefix, and
reloads that give and take each of them."""

from __future__ import annotations

import json
import signal
import sys
from collections import Counter
from importlib.util import find_spec

import pytest
import toml

from tests.conftest import Stage
from tests.support.backends import Server
from tests.support.certificates import Authority
from tests.support.ports import free_port
from tests.support.process import LbProxy
from tests.support.wire import Client


def reload(proxy: LbProxy) -> None:
    proxy.file.write_text(toml.dumps(proxy.config))
    done = len(proxy.events("reloaded"))
    proxy.signal(signal.SIGHUP)
    proxy.wait_event("reloaded", skip=done)


def name(client: Client, path: str = "/echo", *fields: tuple[str, str]) -> str:
    """Which application answers."""
    found: str = json.loads(client.request("GET", path, [("Host", "site.test"), *fields]).body)["name"]
    return found


def test_blue_and_green(stage: Stage) -> None:
    """Of a thousand requests over two workers fifty go to the lighter pool, give or take one for each worker; a cookie keeps a
    client where it is, on other connections and in other workers, until its pool gets nothing any more."""
    blue, green = stage.app("blue"), stage.app("green")
    config = stage.config(workers=2)
    config["pool"] = {"blue": {"backends": [blue.address]}, "green": {"backends": [green.address]}}
    config["route"] = [
        {"path": "/sticky/", "split": {"blue": 1, "green": 1}, "sticky": {"cookie": "site"}},
        {"split": {"blue": 95, "green": 5}},
    ]
    proxy = stage.run(config)
    counts: Counter[str] = Counter()
    for _ in range(10):
        client = stage.client(proxy)
        counts.update(name(client) for _ in range(100))
        client.close()
    assert counts["blue"] + counts["green"] == 1000
    assert 48 <= counts["green"] <= 52
    response = stage.client(proxy).request("GET", "/sticky/echo", [("Host", "site.test")])
    cookie, given = (response.get("set-cookie") or "").partition(";")[0], json.loads(response.body)["name"]
    assert {name(stage.client(proxy), "/sticky/echo", ("Cookie", cookie)) for _ in range(6)} == {given}
    config["route"][0]["split"][given] = 0
    reload(proxy)
    assert name(stage.client(proxy), "/sticky/echo", ("Cookie", cookie)) != given


def test_reloads_give_and_take_destinations(stage: Stage) -> None:
    """A redirect, a fixed answer, nothing at all, conditions: each holds from one reload to the next, and the plan tells of it."""
    config = stage.config(stage.app().address)
    proxy = stage.run(config)
    more = [
        {"path": "/moved", "redirect": "https://new.example{path}"},
        {"path": "/down", "respond": {"status": 503, "body": "soon"}},
        {"path": "/gone", "close": True},
        {"match": {"headers": {"X-Beta": "1"}, "query": {"debug": "1"}}, "respond": {"body": "beta"}},
    ]
    if find_spec("re2"):  # loaded by a master that did without at its start
        more.append({"match": {"regex": "^/v[0-9]+/"}, "respond": {"body": "version"}})
    for routes in ([*more, {"pool": "app"}], [{"pool": "app"}], [*more, {"pool": "app"}]):
        proxy.config["route"] = routes
        reload(proxy)
        client = stage.client(proxy)
        there = len(routes) > 1
        moved = client.request("GET", "/moved/x?y=1", [("Host", "site.test")])
        assert (moved.status, moved.get("location")) == ((308, "https://new.example/moved/x?y=1") if there else (200, None))
        assert client.request("GET", "/down", [("Host", "site.test")]).status == (503 if there else 200)
        asked = client.request("GET", "/echo?debug=0&%64ebug=%31", [("Host", "site.test"), ("X-Beta", "0, 1")])
        assert (asked.body == b"beta") is there
        version = client.request("GET", "/v12/x", [("Host", "site.test")])
        assert (version.body == b"version") is (there and find_spec("re2") is not None)
        client.send(b"GET /gone HTTP/1.1\r\nHost: site.test\r\n\r\n")
        if there:
            assert client.rest() == b""
            proxy.wait_access(status=444, reason="closed_by_route")
    assert "redirect https://new.example{path}" in json.dumps(proxy.events("reloaded"))


def test_an_application_under_a_prefix(stage: Stage, authority: Authority) -> None:
    """A Werkzeug application that does not know where it is, and one that reads X-Forwarded-Prefix: a client that follows its
    redirects and keeps its cookies finds its way in both."""
    pytest.importorskip("werkzeug")
    requests = pytest.importorskip("requests")
    port = free_port()
    server = stage.server(Server([sys.executable, "-m", "tests.support.behind_proxy", str(port)], port, stage.directory))
    config = stage.config(server.address)
    config["route"] = [
        {"path": "/app", "strip_prefix": "/app", "pool": "app"},
        {"path": "/old", "replace_prefix": {"from": "/old", "to": "/app"}, "pool": "app"},
    ]
    proxy = stage.run(config)
    site = f"https://localhost:{proxy.port()}"
    with requests.Session() as session:
        session.verify, session.trust_env = str(authority.file), False  # nor a bundle of the environment
        for path, end, prefix in (("/app", "/app/home", "/app"), ("/old", "/old/home", "/old")):
            session.cookies.clear()
            for way in ("path", "url", "relative", "backend"):
                answer = session.get(f"{site}{path}/login?way={way}", timeout=60)
                assert answer.url == f"{site}{end}", way
                assert [each.path for each in session.cookies] == [prefix]
                said = answer.json()
                assert said["cookies"] == {"session": "1"}
                assert said["url"] == (f"{site}/app/home")
        assert session.get(f"{site}/app", timeout=60).json()["url"] == f"{site}/app/"
