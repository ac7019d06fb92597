"""The PROXY protocol with those who speak it: HAProxy and nginx in front of lbproxy, and as its backends."""

from __future__ import annotations

import json
import socket
from collections.abc import Callable
from pathlib import Path

import pytest
from websockets.sync.client import connect

from tests.conftest import Stage
from tests.support import threaded_tls
from tests.support.backends import Server, nginx, websocket_server
from tests.support.balancers import haproxy, haproxy_in_front, nginx_in_front
from tests.support.ports import free_port
from tests.support.process import LbProxy
from tests.support.tools import curl
from tests.support.waiting import PATIENCE, eventually

FRONTS: dict[str, Callable[[Path, int], Server]] = {
    "haproxy-v1": lambda directory, to: haproxy_in_front(directory, to, "send-proxy"),
    "haproxy-v2": lambda directory, to: haproxy_in_front(
        directory, to, "send-proxy-v2 proxy-v2-options crc32c,authority,unique-id,ssl check check-send-proxy inter 100ms"
    ),
    "nginx-v1": nginx_in_front,
}


def _site(stage: Stage) -> LbProxy:
    config = stage.config(stage.app().address, workers=2)
    config["listen"][0]["proxy_protocol"] = ["127.0.0.0/8"]
    config["listen"][0]["deny"] = ["127.0.0.66"]
    return stage.run(config)


def _ask(stage: Stage, port: int, *options: str) -> dict[str, object]:
    asked = curl(stage.authority.file, *options, f"https://localhost:{port}/echo", "--ipv4")
    found: dict[str, object] = json.loads(asked.stdout)
    return found


@pytest.mark.parametrize("kind", FRONTS)
def test_whoever_the_front_names_is_the_client(stage: Stage, kind: str) -> None:
    """In the log, for the backend, and for who may come in, over both languages; checks of the front are no events."""
    proxy = _site(stage)
    front = stage.server(FRONTS[kind](stage.directory, proxy.port()))
    for language in ("--http1.1", "--http2"):
        said = _ask(stage, front.port, language, "--interface", "127.0.0.5")
        assert ["x-forwarded-for", "127.0.0.5"] in [[str(name).lower(), value] for name, value in _fields(said)]
    lines = proxy.wait_access(count=2, client="127.0.0.5")
    assert [line["status"] for line in lines] == [200, 200]
    with pytest.raises(AssertionError, match=r"exit (35|56)"):  # closed, or reset, in the middle of the handshake
        _ask(stage, front.port, "--interface", "127.0.0.66")
    refused = proxy.wait_event("connection.refused")
    assert (refused["client"], refused["reason"]) == ("127.0.0.66", "address_denied")
    assert {event["reason"] for event in proxy.events("connection.refused")} == {"address_denied"}  # HAProxy may try again


def _fields(said: dict[str, object]) -> list[tuple[str, str]]:
    fields = said["fields"]
    assert isinstance(fields, list)
    return [(name, value) for name, value in fields]


def test_without_a_header_nobody_comes_in(stage: Stage) -> None:
    """A client that comes by another way than the balancer cannot leave out who it is."""
    proxy = _site(stage)
    with pytest.raises(AssertionError, match=r"exit (35|56)"):
        _ask(stage, proxy.port())
    assert proxy.wait_event("connection.refused")["reason"] == "proxy_header_missing"
    eventually(lambda: not proxy.access(), "no request was heard")


# ---------------------------------------------------------------- out


def _nginx(directory: Path) -> Server:
    return nginx(directory, "proxy_protocol", 'location / { return 200 "$proxy_protocol_addr $connection $connection_requests"; }')


def _haproxy(directory: Path) -> Server:
    port = free_port()
    answer = 'http-request return status 200 content-type text/plain lf-string "%[src] %[fc_pp_authority] %[fc_pp_unique_id]"'
    sections = f"frontend back\n  mode http\n  bind 127.0.0.1:{port} accept-proxy\n  {answer}\n"
    return haproxy(directory, sections, port)


@pytest.mark.parametrize("version", ["v1", "v2"])
@pytest.mark.parametrize("kind", [_nginx, _haproxy], ids=["nginx", "haproxy"])
def test_backends_are_told_who_the_client_is(stage: Stage, kind: Callable[[Path], Server], version: str) -> None:
    """Before anything else, over both of our languages; checks are nobody's, and welcome."""
    backend = stage.server(kind(stage.directory))
    health = {"type": "http", "path": "/", "interval": "100ms", "rise": 1, "fall": 1}
    proxy = stage.proxy(backend.address, app={"proxy_protocol": version, "health": health, "request_id": "pass"})
    proxy.wait_up(backend.address)
    for language in ("--http1.1", "--http2"):
        options = ("-H", "X-Request-Id: abc-1", "--interface", "127.0.0.5", "--ipv4", language)
        said = curl(stage.authority.file, *options, f"https://localhost:{proxy.port()}/").stdout.decode().split()
        assert said[0] == "127.0.0.5"
        if kind is _haproxy and version == "v2":
            assert said[1:] == ["localhost", "abc-1"]
    assert len(proxy.wait_access(count=2, status=200)) == 2


def test_a_connection_to_a_backend_is_one_clients(stage: Stage) -> None:
    """A client's requests come over one, as often as they come; nobody else's ever do, and it ends with the client."""
    backend = stage.server(_nginx(stage.directory))
    proxy = stage.proxy(backend.address, app={"proxy_protocol": "v2"})
    proxy.wait_up(backend.address)
    clients = [stage.client(proxy) for _ in range(2)]
    seen = [client.request("GET", "/").body.decode().split() for client in clients * 3]
    for one in (0, 1):
        mine = seen[one::2]
        assert {connection for _, connection, _ in mine} == {mine[0][1]}
        assert [count for *_, count in mine] == ["1", "2", "3"]
    assert seen[0][1] != seen[1][1]


@pytest.mark.parametrize("version", ["v1", "v2"])
def test_a_websocket_is_told_of_its_client(stage: Stage, version: str) -> None:
    """In front of the upgrade, which goes over a connection of that client's own and ends with it; requests before and after it do
    so over others."""
    answers = stage.server(websocket_server(stage.directory))
    port = free_port()
    said = 'http-response set-header X-Source "%[src]"'
    backend = stage.server(haproxy(
        stage.directory,
        f"listen back\n  mode http\n  bind 127.0.0.1:{port} accept-proxy\n  {said}\n  server ws {answers.address}\n",
        port,
    ))  # fmt: skip
    proxy = stage.proxy(backend.address, app={"proxy_protocol": version})
    proxy.wait_up(backend.address)
    for _ in range(2):
        sock = socket.create_connection(("127.0.0.1", proxy.port()), PATIENCE, source_address=("127.0.0.5", 0))
        context = threaded_tls.context(stage.authority.file)
        with connect("wss://localhost/", sock=sock, ssl=context, proxy=None, close_timeout=PATIENCE) as client:
            assert client.response is not None
            assert client.response.headers["X-Source"] == "127.0.0.5"
            client.send("hello")
            assert client.recv(PATIENCE) == "hello"
        refused = curl(stage.authority.file, "-D", "-", f"https://localhost:{proxy.port()}/refused", "--ipv4").stdout
        assert b"x-source: 127.0.0.1" in refused.lower()
    assert [line["reason"] for line in proxy.wait_access(count=2, status=101)] == ["", ""]
