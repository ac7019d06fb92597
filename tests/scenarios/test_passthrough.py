"""Clients that are passed through to nginx, which shows its own certificate: beside others that are decrypted, with a backend
killed, through a reload, and with PROXY headers on both sides."""

from __future__ import annotations

import socket
import ssl
import subprocess
from pathlib import Path
from typing import Any

from tests.conftest import Stage
from tests.support.backends import Server, nginx
from tests.support.balancers import haproxy_in_front
from tests.support.ports import free_port
from tests.support.process import LbProxy
from tests.support.reloads import Reloads
from tests.support.tools import curl, need

PATIENT = {"connect": "60s", "handshake": "60s", "proxy_header": "60s"}
GONE = ("", "tunnel_client_lost")
"""How connections end: a program that has what it wanted may close with something of nginx's unread, which is a reset."""
SAYS = 'location / { return 200 "$server_port $ssl_server_name $server_protocol $proxy_protocol_addr $connection"; }'


def _nginx(stage: Stage, name: str, listen: str = "") -> Server:
    """One with a certificate of its own, that says what it knows of its client."""
    directory = stage.directory / name
    directory.mkdir()
    pair = stage.authority.issue("db.test", "a.db.test")
    more = f"ssl_certificate {pair['cert']}; ssl_certificate_key {pair['key']}; {SAYS}"
    return stage.server(nginx(directory, f"ssl http2 {listen}", more))


def _config(stage: Stage, *backends: Server, **pool: Any) -> dict[str, Any]:
    """Our certificate is for localhost; what asks for db.test and names below it is passed through."""
    config = stage.config(stage.app().address, workers=2, timeouts=PATIENT)
    config["listen"][0]["passthrough"] = {"db.test": "db", "*.db.test": "db"}
    health = {"type": "tls", "interval": "60s", "timeout": "30s", "rise": 1}
    tls = {"ca": str(stage.authority.file), "server_name": "db.test"}
    config["pool"]["db"] = {"backends": [each.address for each in backends], "health": health, "tls": tls, **pool}
    return config


def _ask(stage: Stage, port: int, *options: str, name: str = "db.test") -> list[str]:
    there = ("--resolve", f"{name}:{port}:127.0.0.1", *options, f"https://{name}:{port}/")
    return curl(stage.authority.file, *there).stdout.decode().split()


def _shown(ca: Path, port: int, *options: str) -> str:
    """What openssl s_client says of whoever answers."""
    command = [need("openssl"), "s_client", "-connect", f"127.0.0.1:{port}", "-CAfile", str(ca), "-verify_return_error", *options]
    ended = subprocess.run(command, input="", capture_output=True, text=True, timeout=90, check=False)
    return ended.stdout + ended.stderr


def test_nginx_answers_with_its_own_certificate(stage: Stage) -> None:
    """Over both languages, which it agrees on with the client; others get ours. One line for a connection, with bytes both ways."""
    one, other = _nginx(stage, "one"), _nginx(stage, "other")
    proxy = stage.run(_config(stage, one, other))
    proxy.wait_up(one.address, other.address)
    port = proxy.port()
    assert _ask(stage, port, "--http2")[1:3] == ["db.test", "HTTP/2.0"]
    assert _ask(stage, port, "--http1.1", name="a.db.test")[1:3] == ["a.db.test", "HTTP/1.1"]
    for name, verified in (("db.test", "db.test"), ("localhost", "localhost")):
        said = _shown(stage.authority.file, port, "-servername", name, "-verify_hostname", verified)
        assert "Verify return code: 0 (ok)" in said
    assert stage.client(proxy).request("GET", "/").status == 200
    lines = proxy.wait_access(count=3, protocol="TLS")
    assert sorted(line["sni"] for line in lines) == ["a.db.test", "db.test", "db.test"]
    assert all(line["status"] is None and line["reason"] in GONE and line["tries"] == 1 for line in lines)
    assert all(line["bytes_in"] > 200 and line["bytes_out"] > 500 for line in lines)
    assert {line["backend"] for line in lines} <= {one.address, other.address}
    one.kill()  # the checks have not seen it yet, and need not: nothing was sent there
    answers = [_ask(stage, port) for _ in range(6)]
    assert {answer[0] for answer in answers} == {str(other.port)}
    lines = proxy.wait_access(count=9, protocol="TLS")[3:]
    assert max(line["tries"] for line in lines) == 2
    assert {line["reason"] for line in lines} <= {*GONE}
    other.kill()
    assert "alert internal error" in _shown(stage.authority.file, port, "-servername", "db.test")
    assert proxy.wait_access(count=10, protocol="TLS")[-1]["reason"] in ("connection_refused", "no_backend")


def _connection(stage: Stage, proxy: LbProxy) -> ssl.SSLSocket:
    context = ssl.create_default_context(cafile=str(stage.authority.file))
    return context.wrap_socket(socket.create_connection(("127.0.0.1", proxy.port()), 90), server_hostname="db.test")


def _again(stream: ssl.SSLSocket) -> bytes:
    stream.sendall(b"GET / HTTP/1.1\r\nHost: db.test\r\n\r\n")
    return stream.recv(65536).rpartition(b" ")[2]


def test_a_reload_leaves_open_connections_alone(stage: Stage) -> None:
    """Whoever is being passed through goes on, and a drain cuts him in the end; who comes afterwards is decrypted."""
    backend = _nginx(stage, "one")
    config = _config(stage, backend)
    config["listen"][0]["certificates"].append(stage.authority.issue("db.test"))
    config["proxy"]["drain_timeout"] = "1s"
    proxy = stage.run(config)
    proxy.wait_up(backend.address)
    stream = _connection(stage, proxy)
    first = _again(stream)
    done = Reloads(proxy).reload(lambda new: new["listen"][0].pop("passthrough"))
    assert "passthrough" in str(done)
    assert _again(stream) == first, "the same connection of nginx's"
    with _connection(stage, proxy) as later:
        later.sendall(b"GET / HTTP/1.1\r\nHost: db.test\r\nConnection: close\r\n\r\n")
        assert later.recv(65536).startswith(b"HTTP/1.1 200")
    assert len(proxy.wait_access(count=1, status=200)) == 1
    assert _again(stream) == first
    stream.close()
    [line] = proxy.wait_access(count=1, protocol="TLS")
    assert line["bytes_out"] > 3 * 100


def test_proxy_headers_on_both_sides(stage: Stage) -> None:
    """HAProxy in front says who the client is, and nginx behind is told, on a listener that has no certificates at all."""
    backend = _nginx(stage, "one", "proxy_protocol")
    config = _config(stage, backend, proxy_protocol="v2")
    port = free_port()
    config["listen"] = [{"address": f"127.0.0.1:{port}", "passthrough": {"*": "db"}, "proxy_protocol": ["127.0.0.0/8"]}]
    proxy = stage.run(config)
    proxy.wait_up(backend.address)
    front = stage.server(haproxy_in_front(stage.directory, port, "send-proxy-v2"))
    said = _ask(stage, front.port, "--interface", "127.0.0.5", "--ipv4")
    assert said[1:4] == ["db.test", "HTTP/1.1", "127.0.0.5"]
    assert proxy.wait_access(count=1, client="127.0.0.5")[0]["sni"] == "db.test"
