"""What a worker holds for each client that is slow: as little as can be, whatever was on its way when it became slow."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path
from typing import NamedTuple

import pytest

from tests.conftest import Stage
from tests.support.backends import Conversation, Scripted
from tests.support.flood import Flood, flooding
from tests.support.ports import free_port
from tests.support.tools import curl
from tests.support.waiting import eventually

CLIENTS = 100
FIRST = 10
"""Clients that come before the first look: what they make grow is not given back, and no cost of the others."""


class Kind(NamedTuple):
    kib: int
    """Each may cost. Before it was looked at they were 220, 220 and 72 to 137; nginx has 40, 14 and 10."""
    tls: bool
    request: bytes
    answer: str
    unit: str
    drip: bytes = b""
    stored: bool = False
    """The answer comes out of the cache."""


DOWNLOAD = b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n"
ENDLESS = "HTTP/1.1 200 OK\r\nContent-Length: 500000000000\r\n\r\n"
LASTING = f"HTTP/1.1 200 OK\r\nContent-Length: {2**20}\r\nCache-Control: max-age=6000\r\n\r\n"
UPLOAD = b"POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 1000000\r\n\r\n"
KINDS = {
    "a download over TLS that is not read": Kind(64, True, DOWNLOAD, ENDLESS, "x" * 1000),
    "a download that is not read": Kind(32, False, DOWNLOAD, ENDLESS, "x" * 1000),
    "a stored answer of 1 MiB over TLS that is not read": Kind(64, True, DOWNLOAD, LASTING, "", stored=True),
    "a body that comes by drips": Kind(32, False, UPLOAD, "", "", b"x"),
    "a body of which much came and the rest by drips": Kind(32, False, UPLOAD + b"x" * 60_000, "", "", b"x"),
}


@pytest.mark.parametrize("what", KINDS)
def test_each_holds_little(stage: Stage, tmp_path: Path, what: str) -> None:
    """KiB of the worker's own memory (its proportional set size) for each of a hundred."""
    kind = KINDS[what]
    backend = free_port()
    with ExitStack() as stack:
        if kind.stored:
            backend = stack.enter_context(Scripted(lambda asked: answer(asked, kind.answer.encode() + bytes(2**20)))).port
        else:
            stack.enter_context(flooding(Flood(backend, kind.answer, kind.unit, serve=True)))
        config = stage.config(f"127.0.0.1:{backend}")
        if kind.stored:
            folder = tmp_path / "bodies"
            folder.mkdir(mode=0o700)
            config["cache"] = {"memory": "4MiB", "files": str(folder), "disk": "16MiB"}
            config["route"][0]["cache"] = {"collapse_wait": "60s"}
        config["listen"].insert(0, {"address": f"127.0.0.1:{free_port()}"})
        proxy = stage.run(config)
        [pid] = proxy.wait_workers(1)
        if kind.stored:
            assert len(curl(stage.authority.file, f"https://localhost:{proxy.port(1)}/").stdout) == 2**20
        loose = ssl.create_default_context(cafile=str(stage.authority.file))

        def come() -> socket.socket:
            one = stack.enter_context(socket.create_connection(("127.0.0.1", proxy.port(int(kind.tls))), 30.0))
            if kind.tls:
                one = stack.enter_context(loose.wrap_socket(one, server_hostname="localhost"))
            one.sendall(kind.request)
            return one

        clients = [come() for _ in range(FIRST)]
        before = settled(pid, lambda: drip(clients, kind.drip))
        clients += [come() for _ in range(CLIENTS)]
        held = settled(pid, lambda: drip(clients, kind.drip)) - before
        assert len(clients) == FIRST + CLIENTS
    assert held < CLIENTS * kind.kib


def answer(asked: Conversation, said: bytes) -> None:
    """Once: all else is stored."""
    asked.read_head()
    asked.send(said)


def drip(clients: list[socket.socket], data: bytes) -> None:
    for client in clients:
        if data:
            client.sendall(data)


def settled(pid: int, meanwhile: Callable[[], None]) -> int:
    """KiB, once the process has come to rest: they change no more, though something is sent meanwhile."""
    last = [0, 0]

    def rests() -> int:
        meanwhile()
        time.sleep(0.2)  # what is waited for is that nothing changes
        last[:] = [last[1], pss(pid)]
        return last[1] if last[0] == last[1] else 0

    return eventually(rests, "its memory changes no more", within=60.0)


def pss(pid: int) -> int:
    """proc(5), smaps_rollup."""
    for line in Path(f"/proc/{pid}/smaps_rollup").read_text(encoding="ascii").splitlines():
        if line.startswith("Pss:"):
            return int(line.split()[1])
    raise AssertionError("no Pss")
