"""Clients that speak nonsense or nothing are cut by a deadline, told what is wrong where possible, logged, and disturb nobody."""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager

import pytest

from tests.conftest import Stage
from tests.support.process import LbProxy
from tests.support.waiting import PATIENCE
from tests.support.wire import Client

SHORT = {"handshake": "1500ms", "request_head": "1500ms", "body_idle": "1500ms"}
"""For good clients on a busy machine, too, which may rest between two requests as long as they like."""


def impatient(stage: Stage) -> LbProxy:
    """One worker with short deadlines."""
    return stage.proxy(stage.app().address, timeouts=SHORT)


@pytest.fixture(scope="module")
def proxy(standing: Stage) -> LbProxy:
    """One for all tests that do not look at what it logs."""
    return impatient(standing)


@pytest.fixture
def own(stage: Stage) -> LbProxy:
    """One for the others."""
    return impatient(stage)


@contextmanager
def _nobody_is_disturbed(stage: Stage, proxy: LbProxy) -> Iterator[Client]:
    """A well-behaved client is served before, in between and after, by the same workers."""
    before = proxy.wait_workers(1)
    with stage.client(proxy) as good:
        assert good.request("GET", "/echo").status == 200
        yield good
    assert stage.client(proxy).request("GET", "/echo").status == 200
    assert proxy.workers() == before


def _seconds_until_closed(connection: socket.socket) -> float:
    started = time.monotonic()
    connection.settimeout(PATIENCE)
    try:
        while connection.recv(4096):
            pass
    except ConnectionResetError:
        pass  # as closed as it gets
    return time.monotonic() - started


def _client_hello() -> bytes:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    talk = ssl.create_default_context().wrap_bio(incoming, outgoing, server_hostname="localhost")
    with pytest.raises(ssl.SSLWantReadError):
        talk.do_handshake()
    return outgoing.read()


FIRST_WORDS: dict[str, Callable[[], bytes]] = {
    "nothing": lambda: b"",
    "one byte": lambda: b"\x16",
    "half a hello": lambda: _client_hello()[:100],
    "a hello and silence": _client_hello,
    "record of impossible size": lambda: b"\x16\x03\x01\xff\xff" + b"\x00" * 100,
    "garbage": lambda: b"\x00\x01\x02garbage" * 50,
    "ssh": lambda: b"SSH-2.0-OpenSSH_9.2\r\n",
}


def test_no_handshake(stage: Stage, own: LbProxy) -> None:
    """Whatever it is instead of a handshake, it ends by the handshake deadline, and is logged."""
    with _nobody_is_disturbed(stage, own), ExitStack() as stack:
        connections = []
        for words in FIRST_WORDS.values():
            connections.append(stack.enter_context(socket.create_connection(("127.0.0.1", own.port()))))
            connections[-1].sendall(words())
        for connection in connections:
            assert _seconds_until_closed(connection) < PATIENCE
        own.wait_event("tls.handshake_failed")


@pytest.mark.parametrize("request_line", [b"GET / HTTP/1.1\r\nHost: localhost\r\n\r\n", b"POST /x HTTP/1.0\r\n\r\n"])
def test_plain_http_on_the_tls_port(stage: Stage, proxy: LbProxy, request_line: bytes) -> None:
    """It is told in its own language: 400 and why."""
    with _nobody_is_disturbed(stage, proxy), Client(proxy.port()) as client:
        client.send(request_line)
        response = client.response()
        assert response.status == 400
        assert b"plain_http" in response.body
        assert client.ended()


def test_half_a_head(stage: Stage, own: LbProxy) -> None:
    """A head that does not end in time is a 408, not a connection held for ever."""
    with _nobody_is_disturbed(stage, own), stage.client(own) as client:
        client.send(b"GET / HTTP/1.1\r\nHost: localhost\r\nX-Slow: ")
        assert client.response().status == 408
        assert client.ended()
        own.wait_access(status=408)


UPLOAD = b"POST /echo HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100000\r\n\r\n"


@pytest.mark.parametrize("head", [b"", UPLOAD], ids=["head", "body"])
def test_a_head_or_body_by_drips(stage: Stage, own: LbProxy, head: bytes) -> None:
    """The deadline is for the whole head, and the body has a least rate: a byte now and then does not extend it, nor the time that
    a refused client has to read why."""
    with _nobody_is_disturbed(stage, own), stage.client(own) as client:
        client.send(head)
        started = time.monotonic()
        cut = False
        while not cut and time.monotonic() - started < PATIENCE:
            try:
                client.send_bytewise(b"X", pause=0.05)
            except OSError:
                cut = True
        assert cut
        own.wait_access(status=408)


def test_idle_after_the_handshake(stage: Stage, proxy: LbProxy) -> None:
    """A connection that never asks is closed without a word."""
    with _nobody_is_disturbed(stage, proxy), stage.client(proxy) as client:
        assert client.rest() == b""


def test_idle_keep_alive(stage: Stage) -> None:
    """So is one that has asked before."""
    with stage.client(stage.proxy(stage.app().address, timeouts={"keepalive": "100ms"})) as client:
        assert client.request("GET", "/echo").status == 200
        assert client.rest() == b""


def test_a_body_that_stops(stage: Stage, proxy: LbProxy) -> None:
    """An upload that stalls is cut, with a 408 if the response has not begun; the backend's half is cut too."""
    with _nobody_is_disturbed(stage, proxy), stage.client(proxy) as client:
        client.send_head("POST", "/echo", length=1000)
        client.send(b"x" * 10)
        assert client.response().status == 408
        assert client.ended()


@pytest.mark.parametrize("line", [b"\x00\x01\x02\r\n\r\n", b"GET\r\n\r\n", b"GET / HTTP/9.9\r\nHost: a\r\n\r\n", b"\xff" * 100_000])
def test_garbage_inside_tls(stage: Stage, proxy: LbProxy, line: bytes) -> None:
    """After a proper handshake: a 4xx and the end."""
    with _nobody_is_disturbed(stage, proxy), stage.client(proxy) as client:
        client.send(line)
        assert 400 <= client.response().status < 506
        assert client.ended()


def test_many_at_once(stage: Stage, proxy: LbProxy) -> None:
    """Two hundred silent connections do not keep one good client waiting, and all are gone by the deadline."""
    with _nobody_is_disturbed(stage, proxy) as good, ExitStack() as stack:
        address = ("127.0.0.1", proxy.port())
        silent = [stack.enter_context(socket.create_connection(address)) for _ in range(200)]
        assert good.request("GET", "/echo").status == 200
        for connection in silent:
            assert _seconds_until_closed(connection) < PATIENCE
