"""Bare reads and writes, in whichever form runs here."""

from __future__ import annotations

import os
import socket
import ssl
import time
from collections.abc import Iterator

import pytest

from lbproxy import compiled
from lbproxy.net import wire
from lbproxy.net.tls_engine import TlsEngine
from lbproxy.streams import BODY_READ, HEAD_READ
from tests.unit.net.loopback import sockets
from tests.unit.net.tls_peer import Authority

Pair = tuple[socket.socket, socket.socket]


@pytest.fixture
def pair() -> Iterator[Pair]:
    """Non-blocking, with room for a megabyte."""
    ours, theirs = socket.socketpair()
    for sock in (ours, theirs):
        sock.setblocking(False)
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1 << 20)
    with ours, theirs:
        yield ours, theirs


def test_the_form_is_the_one_that_is_told() -> None:
    assert compiled.loaded().startswith("compiled") == wire.NATIVE


@pytest.mark.parametrize("limit", [1, HEAD_READ, 17 * 1024, 17 * 1024 + 1, BODY_READ, 1 << 20])
def test_what_came_is_read_up_to_the_limit(pair: Pair, limit: int) -> None:
    ours, theirs = pair
    data = os.urandom(100_000)
    theirs.sendall(data)
    first = wire.receive(ours.fileno(), limit)
    assert first
    assert len(first) <= limit
    while len(first) < len(data):
        first += wire.receive(ours.fileno(), limit) or pytest.fail("all of it had been sent")
    assert first == data


def test_two_pieces_leave_in_one_write(pair: Pair) -> None:
    """As far as there is room; without any nothing does, and a descriptor that is none is an error."""
    ours, theirs = pair
    head, data = os.urandom(1000), os.urandom(100_000)
    sent = wire.send_both(ours.fileno(), head, data)
    assert sent == len(head) + len(data)
    came = b""
    while len(came) < sent:
        came += theirs.recv(sent)
    assert came == head + data
    while wire.send_both(ours.fileno(), head, data):
        pass
    with pytest.raises(OSError, match="Bad file descriptor"):
        wire.send_both(-1, head, data)


@pytest.mark.parametrize("limit", [HEAD_READ, BODY_READ])
def test_nothing_an_end_and_a_failure_are_three_things(pair: Pair, limit: int) -> None:
    ours, theirs = pair
    assert wire.receive(ours.fileno(), limit) is None
    theirs.shutdown(socket.SHUT_WR)
    assert wire.receive(ours.fileno(), limit) == b""
    with pytest.raises(OSError, match="Bad file descriptor"):
        wire.receive(-1, limit)


def test_what_is_read_is_kept_when_more_is_read(pair: Pair) -> None:
    """Reads share a buffer, what they give does not."""
    ours, theirs = pair
    kept = []
    for word in (b"one", b"two", b"x" * 40_000, b"three"):
        theirs.sendall(word)
        kept.append(wire.receive(ours.fileno(), HEAD_READ if len(word) < 9 else BODY_READ))
    assert kept == [b"one", b"two", b"x" * 40_000, b"three"]


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_writing(pair: Pair, kind: type) -> None:
    ours, theirs = pair
    assert wire.send(ours.fileno(), kind(b"hello")) == 5
    assert theirs.recv(100) == b"hello"
    assert wire.send(ours.fileno(), kind(b"")) == 0


def test_no_room_is_no_failure_and_a_peer_that_is_gone_is(pair: Pair) -> None:
    ours, theirs = pair
    while wire.send(ours.fileno(), bytes(65536)):
        pass
    theirs.close()
    with pytest.raises(OSError, match="Broken pipe"):  # and no signal
        wire.send(ours.fileno(), b"x")
    with pytest.raises(OSError, match="Bad file descriptor"):
        wire.send(-1, b"x")


@pytest.mark.parametrize("host", ["127.0.0.1", "::1"])
def test_accepting(host: str) -> None:
    with socket.create_server((host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET) as listening:
        listening.setblocking(False)
        with pytest.raises(BlockingIOError):
            wire.accept(listening)
        with socket.create_connection(listening.getsockname()[:2]) as guest:
            accepted, peer = wire.accept(listening)
            assert peer == guest.getsockname()[0]
            assert not os.get_blocking(accepted.fileno())
            assert not os.get_inheritable(accepted.fileno())
            accepted.send(b"welcome")
            assert guest.recv(100) == b"welcome"
            accepted.shutdown(socket.SHUT_WR)
            assert guest.recv(100) == b""
            accepted.close()


def test_what_is_not_on_its_way_yet_is_told() -> None:
    """Beyond the window of a peer that reads nothing; and of what is no TCP connection nothing."""
    ours, peer = sockets()
    assert wire.unsent(ours.fileno()) == 0
    try:
        while True:
            wire.send(ours.fileno(), b"x" * 65536) or ours.send(b"x")
    except BlockingIOError:
        pass
    assert wire.unsent(ours.fileno()) > 0
    ours.close()
    peer.close()
    one, other = socket.socketpair()
    assert wire.unsent(one.fileno()) == 0
    one.close()
    other.close()


def test_the_clock_is_that_of_the_time_module() -> None:
    before = time.monotonic()
    assert before <= wire.monotonic() <= time.monotonic()


def test_the_engine_is_native_where_it_can_be() -> None:
    """Every Python that these tests run on has an `ssl` with OpenSSL beside it in a library."""
    engine = wire.make_engine(Authority().server(), None)
    assert (type(engine) is TlsEngine) != wire.NATIVE


def test_an_impossible_name_is_refused() -> None:
    with pytest.raises(ValueError, match="label empty"):
        wire.make_engine(ssl.create_default_context(), ".leading.dot")
