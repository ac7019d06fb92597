"""Engines on real sockets, without a stream around them: what each call gives, keeps and says."""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator

import pytest

from lbproxy.net.tls_engine import AT_ONCE, RECORD
from lbproxy.streams import BODY_READ, HEAD_READ
from tests.unit.net.tls_peer import ENGINES, Authority, MakeEngine

_AUTHORITY = Authority()


class Two:
    """A client's engine and a server's, and the sockets between."""

    def __init__(self, make: MakeEngine, size: int = 1 << 20) -> None:
        self.client = make(_AUTHORITY.client(), "localhost")
        self.server = make(_AUTHORITY.server(), None)
        self.at_client, self.at_server = socket.socketpair()
        for sock in (self.at_client, self.at_server):
            sock.setblocking(False)
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, size)

    def approach(self) -> None:
        """Up to the client's last flight, which is left with it."""
        assert not self.client.shake()
        self.server.put(self.client.take())
        assert not self.server.shake()
        self.client.put(self.server.take())
        assert self.client.shake()

    def shake(self) -> None:
        """The tickets are left with the server."""
        self.approach()
        self.server.put(self.client.take())
        assert self.server.shake()

    def ask(self, data: bytes) -> None:
        assert self.client.push(self.at_client.fileno(), data, 0) == len(data)

    def hear(self, limit: int = HEAD_READ) -> bytes | None:
        return self.server.receive(self.at_server.fileno(), limit)

    def close(self) -> None:
        self.at_client.close()
        self.at_server.close()


@pytest.fixture(params=ENGINES)
def two(request: pytest.FixtureRequest) -> Iterator[Two]:
    made = Two(request.param)
    made.shake()
    yield made
    made.close()


def test_a_question_and_its_answer(two: Two) -> None:
    assert two.hear() is None
    two.ask(b"question")
    assert two.hear() == b"question"
    assert two.server.got > len(b"question")
    assert two.server.owed(), "tickets"
    assert two.server.push(two.at_server.fileno(), b"answer", 0) == 6
    assert not two.server.owed()
    assert two.client.receive(two.at_client.fileno(), HEAD_READ) == b"answer"


def test_an_end_of_input_is_told_by_got(two: Two) -> None:
    two.ask(b"last")
    two.at_client.close()
    assert two.hear() == b"last"
    assert two.hear() == b""
    assert two.server.got == 0
    assert not two.server.ended


@pytest.mark.parametrize("size", [RECORD, RECORD + 1, AT_ONCE - 1, AT_ONCE, AT_ONCE + 1, 3 * AT_ONCE])
def test_large_data_goes_in_steps(two: Two, size: int) -> None:
    data = os.urandom(size)
    at, got = 0, b""
    while at < size:
        reached = two.client.push(two.at_client.fileno(), data, at)
        assert at < reached <= at + AT_ONCE
        at = reached
        assert not two.client.unsent
        while (piece := two.hear(BODY_READ)) is not None:
            got += piece
    assert got == data


@pytest.mark.parametrize("kind", [bytes, bytearray, memoryview])
def test_buffers_of_any_kind(two: Two, kind: type) -> None:
    assert two.client.push(two.at_client.fileno(), kind(b"hello"), 2) == 5
    assert two.hear() == b"llo"


def test_records_come_in_any_pieces(two: Two) -> None:
    """What OpenSSL keeps of a record and what comes behind it fit together, also when the rest comes along with many others."""
    data = os.urandom(3 * RECORD)
    two.ask(data)
    raw = two.at_server.recv(1 << 20)
    got = b""
    for at in range(0, len(raw), 15_000):
        two.at_client.sendall(raw[at : at + 15_000])
        got += two.hear() or b""
    assert got == data


def test_what_finds_no_room_is_unsent(two: Two) -> None:
    client, fd = two.client, two.at_client.fileno()
    data, at = bytes(8 << 20), 0
    while not client.unsent:
        at = client.push(fd, data, at)
    got = 0
    while (piece := two.hear(BODY_READ)) is not None:
        got += len(piece)
    two.at_client.sendall(client.unsent)
    while got < at:
        got += len(two.hear(BODY_READ) or b"")
    assert got == at


@pytest.mark.parametrize("make", ENGINES)
def test_a_request_that_comes_with_the_handshake(make: MakeEngine) -> None:
    two = Two(make)
    two.approach()
    two.ask(b"at once")  # with the last flight in front of it
    two.server.put(two.at_server.recv(65536))
    assert two.server.shake()
    assert two.server.again
    assert two.server.decrypt() == b"at once"
    assert not two.server.again
    two.close()


def test_a_failure_behind_data_comes_after_it(two: Two) -> None:
    """And goes on to be one."""
    two.ask(b"sound")
    good = two.at_server.recv(65536)
    two.ask(b"not")
    bad = bytearray(two.at_server.recv(65536))
    bad[-1] ^= 1
    two.at_client.sendall(good + bytes(bad))
    assert two.hear() == b"sound"
    assert two.server.again
    for _ in range(2):
        with pytest.raises(ssl.SSLError):
            two.server.decrypt()
    assert two.server.owed(), "an alert"


def test_a_failure_says_what(two: Two) -> None:
    two.at_client.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))
    with pytest.raises(ssl.SSLError) as caught:
        two.hear()
    assert caught.value.reason == "DECRYPTION_FAILED_OR_BAD_RECORD_MAC"


def test_errors_of_others_are_not_ours(two: Two) -> None:
    """OpenSSL keeps one list of errors for everybody in a thread."""
    with pytest.raises(ssl.SSLError):
        ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER).load_verify_locations(cadata="nonsense")
    two.ask(b"fine")
    assert two.hear() == b"fine"
    assert two.hear() is None
    two.at_client.sendall(b"\x17\x03\x03")
    assert two.hear() == b""


def test_goodbye_is_an_end(two: Two) -> None:
    two.at_client.sendall(two.client.goodbye())
    assert two.hear() == b""
    assert two.server.ended
    assert two.server.got


@pytest.mark.parametrize("make", ENGINES)
def test_a_certificate_that_is_not_believed(make: MakeEngine) -> None:
    two = Two(make)
    two.server = make(Authority().server(), None)
    with pytest.raises(ssl.SSLError) as caught:
        two.approach()
    assert caught.value.reason == "CERTIFICATE_VERIFY_FAILED"
    assert two.client.owed(), "an alert"
    two.close()
