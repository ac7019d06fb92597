"""Frames go out of an interface, or it is counted that they do not."""

from __future__ import annotations

import errno
import socket
from typing import cast

from lbproxy.net.tap_interface import TapInterface


class Wire:
    """A socket on an interface."""

    def __init__(self) -> None:
        self.sent: list[bytes] = []
        self.says: list[int] = []
        """What the next calls answer; 0: taken."""
        self.closed = False

    def send(self, frame: bytes) -> int:
        if number := self.says.pop(0) if self.says else 0:
            raise OSError(number, "no")
        self.sent.append(frame)
        return len(frame)

    def close(self) -> None:
        self.closed = True


def interface(room: int = 1000) -> tuple[TapInterface, Wire]:
    wire = Wire()
    return TapInterface(cast(socket.socket, wire), 1500, room), wire


def test_whole_conversations() -> None:
    """In their order; one that finds no room is left out."""
    out, wire = interface(room=10)
    assert out.take([b"ab", b"cd"])
    assert out.take([b"ef"])
    assert not out.take([b"ghi", b"jkl"])
    out.write()
    assert wire.sent == [b"ab", b"cd", b"ef"]
    assert (out.written, out.lost, out.waiting) == (2, 0, False)


def test_a_full_queue_is_waited_for() -> None:
    """In the middle of a conversation, which goes on where it was."""
    out, wire = interface()
    wire.says = [0, errno.ENOBUFS, errno.EAGAIN]
    out.take([b"a", b"b"])
    for _ in range(3):
        out.write()
    assert wire.sent == [b"a", b"b"]
    assert out.written == 1


def test_down_and_up() -> None:
    """What it does not take is lost as a whole, and the next is tried; the socket stays good."""
    out, wire = interface()
    wire.says = [0, errno.ENETDOWN]
    out.take([b"a", b"b", b"c"])
    out.write()
    out.take([b"d"])
    out.write()
    assert wire.sent == [b"a", b"d"], "nothing behind the gap"
    assert (out.written, out.lost, out.usable) == (1, 1, True)


def test_gone() -> None:
    """Another socket is wanted, since one that comes back is another interface; what waits is lost."""
    for number in (errno.ENXIO, errno.ENODEV, errno.EMSGSIZE):
        out, wire = interface()
        wire.says = [number]
        out.take([b"a"])
        out.write()
        assert not out.usable
        out.take([b"b"])
        out.close()
        assert (out.written, out.lost, wire.closed) == (0, 2, True)
