"""One stream to a backend, by itself: heads and bytes in order, how it is lost, what it gives up."""

from __future__ import annotations

import pytest

from lbproxy.errors import ConnectionLost, UpstreamError
from lbproxy.http.h2.engine import H2Engine
from lbproxy.http.h2.vocabulary import Fields
from lbproxy.proxy.h2.backend_stream import HEADS, HEADS_SIZE, BackendStream, Lender
from lbproxy.proxy.h2.stream import H2Stream
from tests.support import h2_frames as wire
from tests.unit.http.h2.dialogue import Heard
from tests.unit.proxy.world import World

INTERIM: Fields = ((b":status", b"103"),)
FAILURE = UpstreamError(502, "h2_reset")


class Connection(Lender):
    """A Lender that notes what it is told."""

    def __init__(self) -> None:
        self.carries_websockets = False
        self.service = World().service
        self.engine = H2Engine(Heard(), server=False)
        self.told: list[str] = []

    def flush(self) -> None:
        self.told.append("flush")

    def flush_soon(self) -> None:
        self.told.append("flush soon")

    def may_write(self, stream: int) -> bool:
        return True

    def await_room(self, stream: H2Stream) -> None:
        self.told.append("await")

    def waits_for_input(self, stream: int, left: int, came: int) -> None:
        self.told.append("waits")

    def stalled(self) -> None:
        self.told.append("stalled")

    def begin(self, stream: BackendStream, number: int, ended: bool) -> None:
        stream.begun(number, ended, 0)

    def left(self, stream: BackendStream) -> None:
        self.told.append("left")

    def linger(self, stream: BackendStream) -> None:
        self.told.append("linger")


@pytest.fixture
def connection() -> Connection:
    return Connection()


@pytest.fixture
def stream(connection: Connection) -> BackendStream:
    """Its request has gone out."""
    stream = BackendStream.__new__(BackendStream)
    stream.borrow(connection)
    fields = ((b":method", b"GET"), (b":scheme", b"http"), (b":path", b"/"))
    connection.begin(stream, connection.engine.request(fields, True), True)
    while connection.engine.output(1 << 20):
        pass
    connection.engine.receive(wire.settings() + wire.headers(1, ((b":status", b"200"),), False))
    return stream


def bring(connection: Connection, stream: BackendStream, data: bytes, *, end: bool = False) -> None:
    """It came, as the engine knows."""
    connection.engine.receive(wire.data(1, data, end))
    stream.feed(data, end)


def test_what_came_is_read_before_the_loss(stream: BackendStream, connection: Connection) -> None:
    """Pieces are joined as far as the reader wants them; then the error."""
    for piece in (b"a", b"b", b"c"):
        bring(connection, stream, piece)
    stream.fail(FAILURE)
    assert stream.read(2) == b"ab"
    assert stream.read(2) == b"c"
    with pytest.raises(ConnectionLost):
        stream.read(2)
    assert stream.failure is FAILURE


def test_whether_a_read_would_wait(stream: BackendStream, connection: Connection) -> None:
    """It would not for what is here, for the end, and for a loss."""
    assert not stream.ready()
    bring(connection, stream, b"data")
    assert stream.ready()
    assert stream.read(100) == b"data"
    assert not stream.ready()
    bring(connection, stream, b"", end=True)
    assert stream.ready()


def test_a_loss_behind_a_whole_answer_is_none(stream: BackendStream, connection: Connection) -> None:
    """RST_STREAM behind the end: what came is read to its end, only nothing can be written any more."""
    bring(connection, stream, b"all", end=True)
    stream.fail(FAILURE)
    assert (stream.read(10), stream.read(10), stream.failure) == (b"all", b"", None)
    with pytest.raises(ConnectionLost):
        stream.send(b"more", False)


def test_heads_are_bounded(stream: BackendStream) -> None:
    """In number and in bytes; the final one always has a place."""
    assert all(stream.bring_head(INTERIM, False, False) for _ in range(HEADS))
    assert not stream.bring_head(INTERIM, False, False)
    assert stream.bring_head(((b":status", b"200"),), True, True)


def test_large_heads_are_fewer(stream: BackendStream) -> None:
    assert not stream.bring_head((*INTERIM, (b"link", b"x" * HEADS_SIZE)), False, False)


def test_heads_come_in_order(stream: BackendStream) -> None:
    """And none follows the end."""
    stream.bring_head(INTERIM, False, False)
    stream.bring_head(((b":status", b"200"),), True, True)
    assert stream.next_head() == (INTERIM, False)
    assert stream.next_head() == (((b":status", b"200"),), True)
    assert stream.next_head() is None


def test_giving_up(stream: BackendStream, connection: Connection) -> None:
    """Once; behind a whole exchange there is nothing to give up."""
    stream.abort()
    stream.abort()
    assert stream.loss is not None
    assert connection.told.count("flush") == 1


def test_nothing_to_give_up(stream: BackendStream, connection: Connection) -> None:
    stream.feed(b"", True)
    stream.abort()
    assert connection.told == ["left"]


def test_one_that_never_began(connection: Connection) -> None:
    """It is given back."""
    stream = BackendStream.__new__(BackendStream)
    stream.borrow(connection)
    stream.abort()
    assert connection.told == ["left"]


def test_finishing_lingers(stream: BackendStream, connection: Connection) -> None:
    """What was written leaves before the stream is given up."""
    stream.finish()
    assert connection.told == ["linger"]


def test_proof(stream: BackendStream) -> None:
    """It is told with the loss."""
    assert not stream.unseen(0)
    stream.fail(FAILURE, True)
    assert stream.unseen(0)
