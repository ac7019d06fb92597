"""How long a stream that is being finished waits for a peer in the middle of something."""

from __future__ import annotations

import time

import pytest

from lbproxy.net import tcp_stream
from tests.unit.net.conftest import Pair
from tests.unit.net.loopback import until


def test_who_is_busy_sending_is_waited_for_longer(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """As nginx does: so long for each piece, and so long in all; a plain client reads its 413 when it has sent everything."""
    assert (tcp_stream.QUIET, tcp_stream.BUSY_LINGER) == (5.0, 30.0)
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
