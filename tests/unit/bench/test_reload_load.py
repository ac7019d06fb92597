from __future__ import annotations

import socket
import ssl
import threading
from dataclasses import replace
from itertools import count

import pytest

from bench.reload.job import Job
from bench.reload.load import Load, LoadError, told
from tests.support.certificates import Authority
from tests.support.ports import free_port
from tests.support.waiting import PATIENCE, eventually
from tests.unit.bench.tls_script import TlsScript, answer, head, serve

CALM = Job(0, "", busy=2, idle=2, fresh=1, downloads=1, uploads=1, idle_pause=(0.01, 0.05), download_seconds=0.1)
GOODBYE = answer(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\nConnection: close\r\n\r\nok\n")


def _job(port: int, authority: Authority) -> Job:
    return replace(CALM, port=port, ca=str(authority.file), upload_bytes=100)


def test_nothing_lost(authority: Authority) -> None:
    """A server that does it right, and the kinds of clients that it saw."""
    with TlsScript(authority, serve()) as server, Load(_job(server.port, authority)) as load:
        tally = load.stop()
    assert not tally.lost, told(tally)
    assert set(tally.done) >= {"busy", "idle", "fresh", "upload"}
    assert tally.requests == tally.done.total()


def test_told_to_close(authority: Authority) -> None:
    """A server that ends each connection, and says so, loses nothing."""
    with TlsScript(authority, GOODBYE) as server, Load(_job(server.port, authority)) as load:
        tally = load.stop()
    assert not tally.lost, told(tally)
    assert tally.renewed > 0
    assert not tally.noticed


def test_found_closed(authority: Authority) -> None:
    """A server that closes after each answer without a word: found out in time by who looks, or a loss, and nothing between."""
    says_nothing = answer(b"HTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nok\n")
    behind: list[bytes] = []

    def rude(tls: ssl.SSLSocket) -> None:
        says_nothing(tls)
        with socket.socket(fileno=tls.detach()) as raw:
            raw.settimeout(PATIENCE)
            behind.append(raw.recv(1))  # of the next request; b"" from who looked before sending one

    with TlsScript(authority, rude) as server, Load(replace(_job(server.port, authority), busy=0, fresh=0, downloads=0)) as load:
        # Two went away without another request before the load began: they learnt what the right answers are.
        eventually(lambda: behind.count(b"") > 2, "a client has looked in time")
        tally = load.stop()
    assert tally.noticed.total() > 0
    assert set(tally.lost) <= {"closed", "reset"}


def test_lost(authority: Authority) -> None:
    """A server that goes bad once everybody was served: every answer is another one than it was."""
    bad = threading.Event()
    numbers = count()
    sent: list[bytes] = []

    def fickle(tls: ssl.SSLSocket) -> None:
        while True:
            head(tls)
            status, body = b"200 OK", b"ok\n"
            if gone_bad := bad.is_set():
                status, body = (b"503 No", b"no\n") if next(numbers) % 2 else (b"200 OK", b"oh\n")
            tls.sendall(b"HTTP/1.1 %b\r\nContent-Length: 3\r\n\r\n%b" % (status, body))
            if gone_bad:
                sent.append(body)

    with TlsScript(authority, fickle) as server:
        job = replace(_job(server.port, authority), idle=0, fresh=0, downloads=0, uploads=0)
        with Load(job) as load:
            bad.set()  # not before: the load stands when each client has had a right answer
            eventually(lambda: {b"no\n", b"oh\n"} <= set(sent), "both kinds of wrong answers were sent")
            tally = load.stop()
    assert tally.lost["status"] > 0
    assert tally.lost["content"] > 0
    assert set(tally.lost) == {"status", "content"}
    assert {(loss.client, loss.kind) for loss in tally.losses} == {("busy", "status"), ("busy", "content")}
    assert tally.lost.total() == len(tally.losses)
    assert "503 instead of 200" in told(tally)


def test_nobody_there(authority: Authority) -> None:
    """A load that never stood is an error of its own, and no result."""
    with pytest.raises(LoadError, match="refused"), Load(_job(free_port(), authority)):
        raise AssertionError("it stands")
