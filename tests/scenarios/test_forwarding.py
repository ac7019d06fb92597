"""What a backend is told about the client is true: spoofed fields are replaced, trusted proxies are believed and appended to."""

from __future__ import annotations

import json

import pytest

from tests.conftest import Stage
from tests.support.backends import Conversation, Scripted

SPOOFED = [
    ("X-Forwarded-For", "6.6.6.6"),
    ("X-Forwarded-Proto", "gopher"),
    ("X-Forwarded-Host", "evil.test"),
    ("X-Forwarded-Port", "666"),
    ("X-Real-IP", "6.6.6.6"),
    ("Forwarded", "for=6.6.6.6;proto=gopher"),
]


def _seen(body: bytes) -> dict[str, list[str]]:
    fields: dict[str, list[str]] = {}
    for name, value in json.loads(body)["fields"]:
        fields.setdefault(name.lower(), []).append(value)
    return fields


@pytest.mark.parametrize("sent", [[], SPOOFED])
def test_untrusted(stage: Stage, sent: list[tuple[str, str]]) -> None:
    """With or without spoofed fields, the backend sees exactly ours."""
    proxy = stage.proxy(stage.app().address)
    client = stage.client(proxy)
    seen = _seen(client.request("GET", "/echo", [("Host", "site.test"), *sent]).body)
    assert seen["host"] == ["site.test"]
    assert seen["x-forwarded-for"] == ["127.0.0.1"]
    assert seen["x-real-ip"] == ["127.0.0.1"]
    assert seen["x-forwarded-proto"] == ["https"]
    assert seen["x-forwarded-host"] == ["site.test"]
    assert seen["x-forwarded-port"] == ["443"], "the one that the client used by its Host, not where we listen"
    [forwarded] = seen["forwarded"]
    assert "for=127.0.0.1" in forwarded
    assert "proto=https" in forwarded
    assert "6.6.6.6" not in forwarded
    assert seen["via"] == ["1.1 lbproxy"]


def test_trusted(stage: Stage) -> None:
    """From a trusted proxy: the chain is kept and appended to, the origin's facts are believed."""
    proxy = stage.proxy(stage.app().address, proxy={"trusted_proxies": ["127.0.0.0/8"]})
    client = stage.client(proxy)
    sent = [("X-Forwarded-For", "203.0.113.7, 127.0.0.9"), ("X-Forwarded-Proto", "http"), ("X-Forwarded-Host", "outer.test")]
    seen = _seen(client.request("GET", "/echo", [("Host", "site.test"), *sent]).body)
    assert ", ".join(seen["x-forwarded-for"]) == "203.0.113.7, 127.0.0.9, 127.0.0.1"
    assert seen["x-real-ip"] == ["203.0.113.7"]
    assert seen["x-forwarded-proto"] == ["http"]
    assert seen["x-forwarded-host"] == ["outer.test"]
    proxy.wait_access(path="/echo", client="203.0.113.7")


def test_hop_by_hop(stage: Stage) -> None:
    """What is meant for the next hop stays here, in both directions; a client cannot have our own fields removed."""

    def script(conversation: Conversation) -> None:
        conversation.read_head()
        conversation.send(
            b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\nConnection: X-Private\r\nX-Private: 1\r\nKeep-Alive: timeout=5\r\n"
            b"Proxy-Connection: keep-alive\r\nX-Public: 2\r\n\r\nok"
        )
        conversation.wait_close()

    with Scripted(script) as backend:
        proxy = stage.proxy(backend.address, app={"health": {"type": "off"}})
        client = stage.client(proxy)
        response = client.request(
            fields=[
                ("Connection", "X-Mine, X-Forwarded-For, Host, Cookie, keep-alive"),
                ("X-Mine", "1"),
                ("Keep-Alive", "300"),
                ("Proxy-Connection", "keep-alive"),
                ("Proxy-Authorization", "Basic eDp5"),
                ("TE", "trailers"),
                ("Upgrade", "h2c"),
                ("X-Theirs", "3"),
                ("With_Underscore", "4"),
            ]
        )
        assert (response.status, response.get("x-public"), response.get("x-private")) == (200, "2", None)
        assert response.get("keep-alive") is None
        assert response.get("proxy-connection") is None
        [head] = backend.received()
    lines = [line.partition(b":")[0].lower() for line in head.split(b"\r\n")]
    for absent in (b"x-mine", b"keep-alive", b"proxy-connection", b"upgrade", b"with_underscore"):
        assert absent not in lines, head
    for present in (b"host", b"x-forwarded-for", b"x-theirs"):
        assert lines.count(present) == 1, head


def test_routes(stage: Stage) -> None:
    """Host and path choose the pool; the first match wins; nobody's host is a 404."""
    apps = {name: stage.app(name) for name in ("exact", "wild", "api")}
    config = stage.config(apps["exact"].address)
    for name, app in apps.items():
        config["pool"][name] = {"backends": [app.address]}
    del config["pool"]["app"]
    config["route"] = [
        {"path": "/api/", "host": "one.test", "pool": "api"},
        {"host": "one.test", "pool": "exact"},
        {"host": "*.wild.test", "pool": "wild"},
    ]
    proxy = stage.run(config)
    client = stage.client(proxy)

    def served(host: str, target: str) -> str | int:
        response = client.request("GET", target, [("Host", host)])
        return str(json.loads(response.body)["name"]) if response.status == 200 else response.status

    assert served("one.test", "/") == "exact"
    assert served("ONE.test:443", "/") == "exact"
    assert served("one.test", "/api/x") == "api"
    assert served("one.test", "/apix") == "exact"
    assert served("a.wild.test", "/") == "wild"
    assert served("a.b.wild.test", "/") == 404
    assert served("wild.test", "/") == 404
    [line] = proxy.wait_access(status=404, host="wild.test")
    assert line["reason"]
