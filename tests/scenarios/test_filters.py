"""What is refused, for real: clients from several loopback addresses, four workers, a reload, a worker that is killed."""

from __future__ import annotations

import contextlib
import os
import signal
import socket
import ssl
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import toml

from tests.conftest import Stage
from tests.support.process import LbProxy
from tests.support.waiting import eventually

WORKERS = 4


def connect(port: int, source: str) -> socket.socket:
    """From any address of 127.0.0.0/8."""
    sock = socket.create_connection(("127.0.0.1", port), 10, source_address=(source, 0))
    sock.settimeout(60)
    return sock


def ask(port: int, source: str, *fields: str, method: str = "GET", path: str = "/echo", body: bytes = b"") -> tuple[int, str]:
    """Status and head of the answer, on a connection of its own."""
    head = "\r\n".join((f"{method} {path} HTTP/1.1", "Host: localhost", "Connection: close", *fields))
    if body:
        head += f"\r\nContent-Length: {len(body)}"
    with connect(port, source) as sock:
        sock.sendall(head.encode() + b"\r\n\r\n" + body)
        got = b""
        while b"\r\n\r\n" not in got and (data := sock.recv(65536)):
            got += data
    return int(got[9:12]), got.partition(b"\r\n\r\n")[0].decode()


def closed_at_once(port: int, source: str) -> bool:
    """Whether the listener hangs up without a word."""
    with connect(port, source) as sock:
        try:
            sock.sendall(b"GET /echo HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\r\n")
            return sock.recv(1) == b""
        except (ConnectionResetError, BrokenPipeError):
            return True


Keys = dict[str, Any]


def plain(stage: Stage, *backends: str, route: Keys, listen: Keys | None = None, **tables: Any) -> Keys:
    """A configuration whose first listener speaks plain HTTP."""
    config = stage.config(*backends, **tables)
    del config["listen"][0]["certificates"]
    config["listen"][0] |= listen or {}
    config["route"] = [{**route, "pool": "app"}]
    return config


def reload(proxy: LbProxy) -> None:
    proxy.file.write_text(toml.dumps(proxy.config))
    done = len(proxy.events("reloaded"))
    proxy.signal(signal.SIGHUP)
    proxy.wait_event("reloaded", skip=done)


def flood(port: int, sources: list[str], each: int) -> dict[str, Counter[int]]:
    """Statuses by client, when all of them ask at the same time."""
    ready = threading.Barrier(8)

    def some(index: int) -> list[tuple[str, int]]:
        ready.wait(60)
        return [(source, ask(port, source)[0]) for source in sources for number in range(each) if number % 8 == index]

    with ThreadPoolExecutor(8) as pool:
        answers = [answer for answers in pool.map(some, range(8)) for answer in answers]
    return {source: Counter(status for whose, status in answers if whose == source) for source in sources}


def test_rates_are_exact_over_all_workers_and_a_reload(stage: Stage) -> None:
    """A bucket that fills once in many minutes: what is admitted can be counted. A reload with four new workers changes nothing,
    nor do four that are killed; metrics tell."""
    app = stage.app()
    config = plain(stage, app.address, route={"rate": "4/h", "burst": 12}, workers=WORKERS, proxy={"control": "c.sock"})
    proxy = stage.run(config)
    proxy.wait_up(app.address)
    sources = ["127.0.0.2", "127.0.0.3"]
    assert flood(proxy.port(), sources, 40) == {source: Counter({200: 12, 429: 28}) for source in sources}
    status, head = ask(proxy.port(), "127.0.0.2")
    assert status == 429
    wait = int(head.partition("Retry-After: ")[2].partition("\r\n")[0])
    assert 0 < wait <= 900
    proxy.config["route"][0]["concurrency"] = 50
    reload(proxy)
    assert ask(proxy.port(), "127.0.0.3")[0] == 429
    assert ask(proxy.port(), "127.0.0.4")[0] == 200
    for worker in proxy.wait_workers(WORKERS):
        os.kill(worker, signal.SIGKILL)
    eventually(lambda: ask(proxy.port(), "127.0.0.3")[0] == 429, "somebody answers, and remembers")
    assert proxy.wait_access(reason="client_rate", client="127.0.0.2", status=429)


def test_concurrency_counts_what_is_under_way_and_no_dead_worker(stage: Stage) -> None:
    """Over four workers and two generations; what a killed worker had under way is not counted any more."""
    app = stage.app()
    proxy = stage.run(plain(stage, app.address, route={"concurrency": 6}, workers=WORKERS))
    proxy.wait_up(app.address)
    held = []
    for _ in range(6):
        sock = connect(proxy.port(), "127.0.0.2")
        sock.sendall(b"GET /hold HTTP/1.1\r\nHost: localhost\r\n\r\n")
        held.append(sock)
    eventually(lambda: app.held() == 6, "six at work")
    assert ask(proxy.port(), "127.0.0.2")[0] == 429
    assert ask(proxy.port(), "127.0.0.3")[0] == 200
    old = proxy.wait_workers(WORKERS)
    reload(proxy)
    assert ask(proxy.port(), "127.0.0.2")[0] == 429  # the old generation still has them
    for worker in set(proxy.workers()) & set(old):
        with contextlib.suppress(ProcessLookupError):  # one that had nothing under way may have ended meanwhile
            os.kill(worker, signal.SIGKILL)
    eventually(lambda: ask(proxy.port(), "127.0.0.2")[0] == 200, "the dead count for nothing")
    for sock in held:
        sock.close()


def test_listeners_close_whom_they_do_not_want(stage: Stage) -> None:
    """By address, by rate, by open connections; over TLS nobody gets as far as a handshake. A list in a file follows a reload."""
    app = stage.app()
    stage.directory.joinpath("deny.txt").write_text("127.0.0.66 # told you\n")
    listen = {"deny_file": str(stage.directory / "deny.txt"), "connection_rate": "6/h", "connections_per_client": 3}
    config = plain(stage, app.address, route={}, listen=listen, workers=WORKERS)
    certified = stage.config(app.address)["listen"][0] | {"allow": ["127.0.0.2"]}
    config["listen"].append(certified)
    proxy = stage.run(config)
    port = proxy.port()
    proxy.wait_up(app.address)
    assert closed_at_once(port, "127.0.0.66")
    assert not closed_at_once(port, "127.0.0.67")
    open_ones = [connect(port, "127.0.0.2") for _ in range(3)]
    for sock in open_ones:
        sock.sendall(b"GET /echo HTTP/1.1\r\nHost: localhost\r\n\r\n")
        assert sock.recv(12) == b"HTTP/1.1 200"
    assert closed_at_once(port, "127.0.0.2")
    for sock in open_ones:
        sock.close()
    admitted = 3
    for _ in range(20):
        admitted += not closed_at_once(port, "127.0.0.2")
    assert admitted == 6
    context = ssl.create_default_context(cafile=str(stage.authority.file))
    with context.wrap_socket(connect(proxy.port(1), "127.0.0.2"), server_hostname="localhost") as tls:
        assert tls.version() in ("TLSv1.2", "TLSv1.3")
    assert closed_at_once(proxy.port(1), "127.0.0.3")
    stage.directory.joinpath("deny.txt").write_text("127.0.0.67\n")
    reload(proxy)
    assert closed_at_once(port, "127.0.0.67")
    assert not closed_at_once(port, "127.0.0.66")
    told = {event["reason"] for event in proxy.events("connection.refused")}
    assert told >= {"address_denied", "connections_per_client", "connection_rate"}


def test_routes_refuse_before_any_backend_is_asked(stage: Stage) -> None:
    """Addresses behind a trusted proxy, methods, sizes and rules, each with its reason; the backend hears of none of them. Behind
    four of us a request goes in circles."""
    app = stage.app()
    route = {
        "deny": ["203.0.113.0/24"],
        "methods": ["GET", "POST"],
        "max_body": "10B",
        "refuse": [{"name": "scanners", "header": "User-Agent", "value": "*scan*"}, {"path": "/wp-*"}],
    }
    proxy = stage.run(plain(stage, app.address, route=route, proxy={"trusted_proxies": ["127.0.0.9"]}, limits={"body": "5B"}))
    proxy.wait_up(app.address)
    port, before = proxy.port(), app.state()["requests"]
    wanted = [
        (ask(port, "127.0.0.9", "X-Forwarded-For: 203.0.113.7"), 403, "address_denied"),
        (ask(port, "127.0.0.9", "X-Forwarded-For: ::ffff:203.0.113.7"), 403, "address_denied"),
        (ask(port, "127.0.0.2", method="DELETE"), 405, "method_not_allowed"),
        (ask(port, "127.0.0.2", method="POST", body=b"x" * 11), 413, "body_too_large"),
        (ask(port, "127.0.0.2", "User-Agent: PortScanner"), 403, "denied:scanners"),
        (ask(port, "127.0.0.2", path="/x/../wp-login"), 403, "denied:2"),
        (ask(port, "127.0.0.2", "Via: " + ", ".join(["1.1 lbproxy"] * 4)), 508, "loop"),
    ]
    assert [(status, reason) for (status, _), _, reason in wanted] == [(status, reason) for _, status, reason in wanted]
    assert "\r\nAllow: GET, POST, HEAD" in wanted[2][0][1]
    assert app.state()["requests"] == before + 1  # this question itself
    lines = proxy.wait_access(count=7)
    assert [line["reason"] for line in lines] == [reason for _, _, reason in wanted]
    assert ask(port, "127.0.0.2", "X-Forwarded-For: 203.0.113.7")[0] == 200
    assert ask(port, "127.0.0.2", method="POST", body=b"x" * 10)[0] == 200
    assert ask(port, "127.0.0.2", method="HEAD")[0] == 200
    assert ask(port, "127.0.0.2", "Via: 1.1 lbproxy")[0] == 200
