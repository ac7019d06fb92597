"""One timer cuts whoever is late, and nobody else."""

from __future__ import annotations

import time

import gevent

from lbproxy.net.deadlines import A_SLICE, SWEEP_INTERVAL, Deadlines
from lbproxy.net.tcp_stream import TcpStream
from lbproxy.streams import NEVER
from tests.unit.net.loopback import Watched, deadlines_running, loop, result, sockets, start, until


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


def test_the_sweep_cuts_exactly_the_late() -> None:
    clock = Clock()
    deadlines = Deadlines(loop(), clock)
    owners, peers = [], []
    for deadline in (100.0, 100.1, NEVER):
        ours, peer = sockets()
        stream = TcpStream(ours, deadlines, 1.0)
        stream.deadline = deadline
        owners.append(Watched(stream))
        peers.append(peer)
    deadlines.sweep()
    assert [owner.expired for owner in owners] == [1, 0, 0]
    clock.now = 100.1
    deadlines.sweep()
    deadlines.sweep()
    assert [owner.expired for owner in owners] == [1, 1, 0]
    for owner in owners:
        owner.stream.close()
    assert not deadlines.streams
    for peer in peers:
        peer.close()
    deadlines.stop()


def test_an_owner_may_close_other_streams_during_the_sweep() -> None:
    deadlines = Deadlines(loop(), lambda: 100.0)
    streams: list[TcpStream] = []
    peers = []

    class Closer(Watched):
        def on_expired(self) -> None:
            for stream in streams:
                stream.close()

    for _ in range(3):
        ours, peer = sockets()
        stream = TcpStream(ours, deadlines, 1.0)
        stream.deadline = 99.0
        Closer(stream)
        streams.append(stream)
        peers.append(peer)
    deadlines.sweep()
    assert not deadlines.streams
    for peer in peers:
        peer.close()
    deadlines.stop()


def test_input_that_came_in_time_is_read_however_late() -> None:
    """The loop was held up: deadline, sweep and input are all due when it goes on."""
    with deadlines_running() as deadlines:
        ours, peer = sockets()
        stream = TcpStream(ours, deadlines, 1.0)
        waits = start(lambda: stream.read(100))
        stream.deadline = time.monotonic() + SWEEP_INTERVAL / 2
        peer.sendall(b"x")
        time.sleep(SWEEP_INTERVAL * 1.5)
        assert result(waits) == b"x"
        peer.close()


def test_the_timer_sweeps_until_it_is_stopped() -> None:
    asked: list[int] = []

    def clock() -> float:
        asked.append(1)
        return 0.0

    deadlines = Deadlines(loop(), clock)
    deadlines.start()
    until(lambda: len(asked) >= 2, "two sweeps")
    deadlines.stop()
    before = len(asked)
    gevent.sleep(SWEEP_INTERVAL * 1.5)
    assert len(asked) == before


def test_a_crowd_that_is_late_together_is_cut_in_slices() -> None:
    """Cutting one takes half a slice; the loop turns between the slices, and everybody is cut in the end."""
    clock = Clock()
    deadlines = Deadlines(loop(), clock)
    turns: list[int] = []
    peers = []

    class Slow(Watched):
        def on_expired(self) -> None:
            clock.now += A_SLICE / 2
            turns.append(loop().iteration)
            self.stream.close()

    for _ in range(20):
        ours, peer = sockets()
        stream = TcpStream(ours, deadlines, 1.0)
        stream.deadline = 99.0
        Slow(stream)
        peers.append(peer)
    deadlines.sweep()
    assert len(turns) == 2
    until(lambda: not deadlines.streams, "all are cut")
    assert max(turns.count(turn) for turn in turns) == 2
    for peer in peers:
        peer.close()
    deadlines.stop()
