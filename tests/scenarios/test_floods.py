"""Peers that keep a worker as busy as they can: whoever else comes to the same worker is served, and nobody takes it for hung.

Before work was counted, a newcomer's 404 took 3.2 s in the median under fifty clients that sent chunks of one byte, and with more
of them the master shot the worker after five seconds. A test machine is busy, and the floods share it: so what is measured is not
how long a newcomer waits but how much work the worker does meanwhile.
"""

from __future__ import annotations

import socket
import time
from pathlib import Path
from statistics import median

import pytest

from tests.conftest import Stage
from tests.support.flood import ONE_BYTE_CHUNKS, Flood, flooding
from tests.support.openssl_engine import Engine
from tests.support.ports import free_port
from tests.support.process import LbProxy
from tests.support.waiting import eventually

NEWCOMERS = 15
WORK = 0.1
"""Seconds of CPU that the worker spends before a newcomer has his answer, in the median; a busy machine doubles them, too."""
PATIENCE = 60.0
SILENCE = 7.0
"""Seconds of an attack: more than a loop may be silent."""


def proxy_for(stage: Stage, *backends: str) -> LbProxy:
    """One worker; without TLS, and with it on the second listener. Only one host has a route. Nobody is cut for being late: the
    machine may be so busy that the attackers are.
    """
    config = stage.config(*backends)
    config["listen"].insert(0, {"address": f"127.0.0.1:{free_port()}"})
    config["route"] = [{"host": "localhost", "pool": "app"}]
    return stage.run(config)


def worked(pid: int) -> float:
    """Seconds that a process's first thread has been on a CPU (proc(5), schedstat)."""
    return int(Path(f"/proc/{pid}/task/{pid}/schedstat").read_text(encoding="ascii").split()[0]) / 1e9


def work_before_an_answer(proxy: LbProxy, pid: int, count: int = NEWCOMERS) -> float:
    """The median of what the worker does while a newcomer waits for a 404, connecting included."""
    spent = []
    for _ in range(count):
        begun = worked(pid)
        with socket.create_connection(("127.0.0.1", proxy.port()), PATIENCE) as one:
            one.sendall(b"GET / HTTP/1.1\r\nHost: nowhere.example\r\nConnection: close\r\n\r\n")
            assert one.recv(4096).startswith(b"HTTP/1.1 404 ")
        spent.append(worked(pid) - begun)
    return median(spent)


REQUEST = "POST /hold HTTP/1.1\r\nHost: localhost\r\nTransfer-Encoding: chunked\r\n\r\n"
FROM_CLIENTS = {
    "chunks of one byte": (REQUEST, ONE_BYTE_CHUNKS),
    "chunks with extensions": (REQUEST, "1;x\r\na\r\n"),
    "bytes of a file": ("POST /hold HTTP/1.1\r\nHost: localhost\r\nContent-Length: 999999999999999\r\n\r\n", "x" * 1000),
    "a pipeline of errors": ("", "GET / HTTP/1.1\r\nHost: nowhere.example\r\n\r\n"),
    "large heads": ("", "GET / HTTP/1.1\r\nHost: nowhere.example\r\nCookie: " + "a=b; " * 3000 + "\r\n\r\n"),
    "awkward paths": ("", "GET /" + "%41" * 2000 + " HTTP/1.1\r\nHost: nowhere.example\r\n\r\n"),
}


@pytest.mark.parametrize("what", FROM_CLIENTS)
def test_from_clients(stage: Stage, what: str) -> None:
    """Eighty clients that never pause."""
    head, unit = FROM_CLIENTS[what]
    proxy = proxy_for(stage, stage.app().address)
    [pid] = proxy.wait_workers(1)
    with flooding(Flood(proxy.port(), head, unit, connections=80)):
        assert work_before_an_answer(proxy, pid) < WORK
    assert proxy.workers() == [pid]


def test_from_backends(stage: Stage) -> None:
    """Forty answers in chunks of one byte, as fast as they are taken."""
    backend = free_port()
    head = "HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
    with flooding(Flood(backend, head, ONE_BYTE_CHUNKS, serve=True)):
        proxy = proxy_for(stage, f"127.0.0.1:{backend}")
        [pid] = proxy.wait_workers(1)
        with flooding(Flood(proxy.port(), "GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", "", connections=40)):
            assert work_before_an_answer(proxy, pid) < WORK
    assert proxy.workers() == [pid]


def test_a_loop_that_is_busy_is_not_taken_for_hung(stage: Stage) -> None:
    """For longer than a silent loop has to live."""
    proxy = proxy_for(stage, stage.app().address)
    [pid] = proxy.wait_workers(1)
    with flooding(Flood(proxy.port(), REQUEST, ONE_BYTE_CHUNKS, connections=300)):
        until = time.monotonic() + SILENCE
        while time.monotonic() < until:
            work_before_an_answer(proxy, pid, 1)
    assert proxy.workers() == [pid]
    assert not proxy.events("worker.hung")


def test_a_heap_of_hellos(stage: Stage) -> None:
    """Four hundred clients say hello at the same moment: requests of others are answered meanwhile, and all handshakes go on."""
    proxy = proxy_for(stage, stage.app().address)
    [pid] = proxy.wait_workers(1)
    connections, engines = [], []
    for _ in range(400):
        engine = Engine()
        engine.shake()
        connections.append(socket.create_connection(("127.0.0.1", proxy.port(1)), PATIENCE))
        engines.append(engine)
    with socket.create_connection(("127.0.0.1", proxy.port()), PATIENCE) as kept:
        for connection, engine in zip(connections, engines, strict=True):
            connection.sendall(engine.take())
        spent = []
        for _ in range(10):
            begun = worked(pid)
            kept.sendall(b"GET / HTTP/1.1\r\nHost: nowhere.example\r\n\r\n")
            assert kept.recv(4096).startswith(b"HTTP/1.1 404 ")
            spent.append(worked(pid) - begun)
    assert median(spent) < WORK
    for connection in connections:
        eventually(lambda connection=connection: connection.recv(1, socket.MSG_PEEK), "the server's hello")  # type: ignore[misc]
        connection.close()
    for engine in engines:
        engine.close()
