"""How long a stream that is being finished waits for a peer in the middle of something."""

from __future__ import annotations

import time

import pytest

from lbproxy.net.deadlines import Deadlines
from lbproxy.net.lingering import BUSY_LINGER, QUIET, cut_lingering
from tests.unit.net.conftest import Pair
from tests.unit.net.loopback import sockets, until
from tests.unit.net.test_tcp_stream import Talkative, received


def test_who_is_busy_sending_is_waited_for_longer(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """As nginx does: so long for each piece, and so long in all; a plain client reads its 413 when it has sent everything."""
    assert (QUIET, BUSY_LINGER) == (5.0, 30.0)
    now = 1e9  # far ahead of the clock that the sweep goes by
    monkeypatch.setattr(time, "monotonic", lambda: now)
    stream, peer = pair
    stream.write(b"413")
    stream.finish(True)
    begun = now
    assert stream.deadline == begun + 5.0
    for _ in range(7):
        now += 4.5
        peer.sendall(b"more")
        wanted = min(begun + 30.0, now + 5.0)
        until(lambda wanted=wanted: stream.deadline == wanted, "the next piece has its time")  # type: ignore[misc]
        assert not stream.closed
    stream.expire(stream.deadline)
    assert stream.closed
    assert peer.recv(100) == b"413"


def test_while_descriptors_are_short_nobody_is_waited_for_longer_than_others(pair: Pair, deadlines: Deadlines) -> None:
    """Who is refused and sends on is counted by no limit: with nothing but such peers newcomers would wait for half a minute."""
    stream, peer = pair
    ours, behind = sockets(small=True)
    slow = Talkative(ours, deadlines, 10.0)
    for each in (stream, slow):
        each.write(b"413")
        each.finish(True)
    now = time.monotonic()
    assert cut_lingering(deadlines.streams, now + 1.5) == 0
    assert not stream.closed
    assert cut_lingering(deadlines.streams, now + 2.5) == 1
    assert stream.closed
    assert received(peer) == b"413"
    assert not slow.closed, "its peer has not yet got all of the answer"
    behind.close()
