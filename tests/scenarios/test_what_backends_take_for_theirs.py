"""Applications behind us know where they are: links, clients and destinations come out as the client used them."""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from tests.conftest import Stage
from tests.support.backends import Server, nginx
from tests.support.ports import free_port


def test_proxy_fix(stage: Stage) -> None:
    """Werkzeug's ProxyFix makes the URL that the client used, over TLS and plainly, on our port and on one that hides it; behind a
    gateway that writes ports, the client's address reaches rules and log."""
    pytest.importorskip("werkzeug")
    port = free_port()
    server = stage.server(Server([sys.executable, "-m", "tests.support.behind_proxy", str(port)], port, stage.directory))
    config = stage.config(server.address, proxy={"trusted_proxies": ["127.0.0.1"]})
    config["listen"].append({"address": f"127.0.0.1:{free_port()}"})
    config["route"][0]["deny"] = ["203.0.113.0/24"]
    proxy = stage.run(config)

    def ask(*, tls: bool, host: str, said: list[tuple[str, str]]) -> dict[str, str] | int:
        client = stage.client(proxy, tls=tls, listener=0 if tls else 1)
        response = client.request("GET", "/a?b", [("Host", host), *said])
        found: dict[str, str] = json.loads(response.body) if response.status == 200 else {}
        return found or response.status

    assert ask(tls=True, host="site.test", said=[]) == {"url": "https://site.test/a?b", "client": "127.0.0.1"}
    assert ask(tls=True, host="site.test:8443", said=[]) == {"url": "https://site.test:8443/a?b", "client": "127.0.0.1"}
    assert ask(tls=False, host="site.test", said=[]) == {"url": "http://site.test/a?b", "client": "127.0.0.1"}
    terminated = [("X-Forwarded-For", "198.51.100.7:50001"), ("X-Forwarded-Proto", "https")]
    found = ask(tls=False, host="site.test", said=terminated)
    assert isinstance(found, dict)
    assert found["url"] == "https://site.test/a?b"
    assert proxy.wait_access(client="198.51.100.7")
    assert ask(tls=False, host="site.test", said=[("X-Forwarded-For", "203.0.113.9:50001")]) == 403
    assert ask(tls=False, host="site.test", said=[("X-Forwarded-For", "unknown")]) == 403
    assert proxy.wait_event("client.unknown", proxy="127.0.0.1", wrote="unknown")


def wsgidav(stage: Stage) -> tuple[Server, Path]:
    pytest.importorskip("wsgidav")
    pytest.importorskip("cheroot")
    folder = stage.directory / "files"
    folder.mkdir()
    port = free_port()
    command = [sys.executable, "-m", "tests.support.dav", str(port), str(folder)]
    return stage.server(Server(command, port, stage.directory)), folder


def nginx_dav(stage: Stage) -> tuple[Server, Path]:
    server = nginx(stage.directory, more="dav_methods PUT DELETE MKCOL COPY MOVE;")
    return stage.server(server), stage.directory / "www"


@pytest.mark.parametrize("make", [wsgidav, nginx_dav])
def test_a_move_of_webdav_behind_tls(stage: Stage, make: Callable[[Stage], tuple[Server, Path]]) -> None:
    """Its Destination names the client's scheme, which nginx, spoken to plainly, takes for somebody else's. `replace` makes it the
    server's own; WsgiDAV, which looks at the host alone, takes both."""
    server, folder = make(stage)
    rules = {"request_headers": {"replace": {"Destination": {"from": "https://", "to": "http://"}}}}
    config = stage.config(server.address)
    config["route"] = [{"path": "/", "host": "fixed.test", "pool": "app", **rules}, {"pool": "app"}]
    proxy = stage.run(config)
    client = stage.client(proxy)
    assert client.request("PUT", "/a.txt", [("Host", "fixed.test")], body=b"text").status == 201
    for host in ("other.test", "fixed.test") if make is nginx_dav else ("fixed.test",):
        client = stage.client(proxy)
        moved = client.request("MOVE", "/a.txt", [("Host", host), ("Destination", f"https://{host}/b.txt")])
        assert moved.status in ((400,) if host == "other.test" else (201, 204))
    assert (folder / "b.txt").read_bytes() == b"text"
    assert not (folder / "a.txt").exists()
