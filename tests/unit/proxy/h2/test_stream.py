"""A stream of its connection's, with a carrier that only notes."""

from __future__ import annotations

from typing import Any

import pytest

from lbproxy.errors import ConnectionLost
from lbproxy.http.h2.engine import H2Engine
from lbproxy.proxy.h2.stream import Carrier, H2Stream


class NotedEngine(H2Engine):
    """An engine that does nothing."""

    def __init__(self, done: list[tuple[Any, ...]]) -> None:
        self.done = done
        self.gone = False

    def send(self, stream: int, data: bytes, ended: bool) -> bool:
        self.done.append(("send", data, ended))
        return not self.gone

    def taken(self, stream: int, size: int, rest: int = -1) -> bool:
        self.done.append(("taken", size))
        return True

    def reset(self, stream: int, code: int) -> bool:
        self.done.append(("reset", code))
        return True

    def has_output(self) -> bool:
        return True

    def held(self, stream: int) -> int:
        return 0

    def will_leave(self, stream: int) -> bool:
        return True


class Notes(Carrier):
    """A connection that only notes."""

    def __init__(self) -> None:
        self.done: list[tuple[Any, ...]] = []
        self.noted = NotedEngine(self.done)
        self.engine = self.noted

    def flush(self) -> None:
        pass

    def flush_soon(self) -> None:
        pass

    def may_write(self, stream: int) -> bool:
        return True

    def await_room(self, stream: H2Stream) -> None:
        raise AssertionError("there is room")

    def waits_for_input(self, stream: int, left: int, came: int) -> None:
        raise AssertionError("nobody waits here")

    def stalled(self) -> None:
        raise AssertionError("nobody stalls here")


def test_a_body_as_it_is_read() -> None:
    """What is here at once, as much as is wanted; all of it counts as taken."""
    notes = Notes()
    stream = H2Stream(notes, 1, False)
    assert not stream.feed(b"abc", False)
    stream.feed(b"def", False)
    assert stream.early() == b"abcdef"
    stream.feed(b"ghi", True)
    assert not stream.exhausted()
    assert [stream.read(100) for _ in range(3)] == [b"ghi", b"", b""]
    assert stream.exhausted()
    assert notes.done == [("taken", 6), ("taken", 3)]


def test_frames_are_joined_up_to_what_is_asked_for() -> None:
    """A relay writes them with one system call; frames stay whole, so it may be a frame more."""
    stream = H2Stream(Notes(), 1, False)
    for piece in (b"abc", b"def", b"ghi"):
        stream.feed(piece, piece == b"ghi")
    assert [stream.read(4) for _ in range(3)] == [b"abcdef", b"ghi", b""]


def test_what_is_written_leaves_as_it_is() -> None:
    """And the end once."""
    notes = Notes()
    stream = H2Stream(notes, 1, True)
    stream.write(memoryview(b"abc"))
    assert not stream.complete
    stream.end_output()
    stream.end_output()
    assert notes.done == [("send", b"abc", False), ("send", b"", True)]
    assert stream.complete
    assert stream.wired == 3
    stream.finish()
    assert stream.loss is None


def test_an_answer_that_is_not_whole_is_given_up() -> None:
    """A cut must not look like an end."""
    notes = Notes()
    stream = H2Stream(notes, 1, True)
    stream.write(b"abc")
    stream.finish()
    stream.abort()
    assert notes.done == [("send", b"abc", False), ("reset", 2)]
    assert stream.loss is not None
    with pytest.raises(ConnectionLost):
        stream.write(b"de")


def test_what_nobody_reads_is_given_back() -> None:
    """It fills the connection's window otherwise."""
    notes = Notes()
    stream = H2Stream(notes, 1, False)
    stream.feed(b"abc", False)
    stream.lose(ConnectionLost("reset"))
    assert notes.done == [("taken", 3)]
    with pytest.raises(ConnectionLost):
        stream.read(100)


def test_a_stream_that_is_gone_while_it_is_written_to() -> None:
    """The engine knows first."""
    notes = Notes()
    notes.noted.gone = True
    with pytest.raises(ConnectionLost):
        H2Stream(notes, 1, True).write(b"abc")


def test_a_repr_shows_the_state() -> None:
    """For the log and the debugger."""
    assert repr(H2Stream(Notes(), 7, True)) == "<H2Stream 7 ended>"
