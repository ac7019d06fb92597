"""The stream on real sockets: waiting, input that nobody asked for, back-pressure, deadlines, and every way to end."""

from __future__ import annotations

import fcntl
import socket
import struct
import sys
import termios
import time
from collections.abc import Callable
from itertools import pairwise

import pytest
from gevent import socket as gsocket
from gevent.hub import get_hub

from lbproxy.errors import ClientGone, ConnectionLost, TimedOut
from lbproxy.net import lingering, tcp_stream
from lbproxy.net.deadlines import Deadlines
from lbproxy.net.lingering import LINGER
from lbproxy.net.tcp_info import unacknowledged
from lbproxy.net.tcp_stream import FAIR, TcpStream
from lbproxy.net.wire import LEAST
from lbproxy.streams import NEVER
from tests.support.descriptors import held_open
from tests.support.waiting import FOREVER
from tests.unit.net.loopback import Watched, loop, loop_rests, result, sockets, start, turns, until

Pair = tuple[TcpStream, gsocket.socket]
MIB = 1 << 20


def reset(peer: gsocket.socket) -> None:
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    peer.close()


def waiting(stream: TcpStream) -> int:
    """Bytes that have come and were not read; more than the kernel takes by itself."""
    stream._sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 1 << 22)
    return int.from_bytes(fcntl.ioctl(stream._sock, termios.FIONREAD, bytes(4)), sys.byteorder)


def received(peer: gsocket.socket) -> bytes:
    """All that comes until the end."""
    pieces = []
    while piece := peer.recv(65536):
        pieces.append(piece)
    return b"".join(pieces)


# ---------------------------------------------------------------- reading


def test_a_reader_waits_for_data_and_its_end(pair: Pair) -> None:
    stream, peer = pair
    job = start(lambda: stream.read(16384))
    assert not job.over
    peer.sendall(b"hello")
    assert result(job) == b"hello"
    peer.shutdown(socket.SHUT_WR)
    assert result(start(lambda: stream.read(16384))) == b""
    assert result(start(lambda: stream.read(16384))) == b"", "the end stays the end"


def test_more_than_the_limit_is_read_in_pieces_without_waiting(pair: Pair) -> None:
    stream, peer = pair
    limit = max(16384, LEAST)
    sending = start(lambda: peer.sendall(bytes(5 * limit // 2)))
    until(lambda: sending.over or waiting(stream) > 2 * limit, "most of it is here")
    reading = start(lambda: [len(stream.read(16384)) for _ in range(2)])
    assert reading.result() == [limit, limit]
    left = limit // 2
    while left:
        left -= len(result(start(lambda: stream.read(16384))))


def test_a_reader_that_always_finds_something_lets_the_loop_go_on(pair: Pair) -> None:
    """However fast the peer is, others have their turn after FAIR reads without a wait."""
    stream, peer = pair
    limit = max(512, LEAST)
    sending = start(lambda: peer.sendall(bytes(20 * limit)))
    until(lambda: sending.over or waiting(stream) > limit, "much of it is here")
    reads, seen = 0, [0]

    def others() -> None:
        seen.append(reads)
        if reads < 20:
            loop().run_callback(others)

    def read_all() -> None:
        nonlocal reads
        for _ in range(20):
            assert stream.read(512)
            reads += 1

    loop().run_callback(others)
    start(read_all).result()
    turns()
    assert seen[-1] == 20
    assert max(later - earlier for earlier, later in pairwise(seen)) <= FAIR + 1


def test_a_reset_is_a_loss(pair: Pair) -> None:
    stream, peer = pair
    job = start(lambda: stream.read(16384))
    reset(peer)
    with pytest.raises(ConnectionLost):
        result(job)


def test_an_error_can_be_thrown_at_a_reader(pair: Pair) -> None:
    """And the stream forgets it: the next input does not wake who has gone."""
    stream, peer = pair

    def work() -> str:
        try:
            stream.read(16384)
        except ClientGone:
            return "thrown"
        return "read"

    job = start(work)
    get_hub().loop.run_callback(job.greenlet.throw, ClientGone("gone"))
    assert result(job) == "thrown"
    peer.sendall(b"late")
    until(lambda: stream.unread, "the stream notices the input")
    assert result(start(lambda: stream.read(16384))) == b"late"


# ---------------------------------------------------------------- input while nobody waits


def test_input_that_nobody_takes_does_not_spin(pair: Pair) -> None:
    """The owner is told once, and the loop rests with the input unread."""
    stream, peer = pair
    owner = Watched(stream)
    peer.sendall(b"early")
    until(lambda: owner.readable, "the owner is told")
    assert loop_rests()
    assert owner.readable == 1
    assert stream.unread
    assert result(start(lambda: stream.read(16384))) == b"early"


def test_input_without_an_owner_does_not_spin(pair: Pair) -> None:
    stream, peer = pair
    peer.sendall(b"early")
    until(lambda: stream.unread, "the stream notices")
    assert loop_rests()


def test_a_half_closed_peer_does_not_spin(pair: Pair) -> None:
    stream, peer = pair
    owner = Watched(stream)
    peer.shutdown(socket.SHUT_WR)
    until(lambda: owner.readable, "the owner is told of the end")
    assert loop_rests()
    assert owner.readable == 1


def test_after_a_pause_and_a_read_the_end_is_noticed_again(pair: Pair) -> None:
    """A backend's connection is read late (its client was slow), then idle, then closed: the owner must hear of it."""
    stream, peer = pair
    owner = Watched(stream)
    peer.sendall(b"late response")
    until(lambda: owner.readable == 1, "the owner is told of the data")
    turns()
    assert result(start(lambda: stream.read(16384))) == b"late response"
    assert not stream.unread
    peer.close()
    until(lambda: owner.readable == 2, "the owner is told of the end")


def test_read_early_takes_a_bounded_amount(pair: Pair) -> None:
    """What a client sends ahead stays in the kernel beyond a request's worth, and comes out in order."""
    stream, peer = pair
    owner = Watched(stream, take=True)
    sent = bytes(range(256)) * 400
    peer.sendall(sent)
    until(lambda: stream.unread, "enough is taken")
    assert loop_rests()
    assert all(owner.alive)
    assert len(stream._early) <= 2 * 16384
    got = b""
    while len(got) < len(sent):
        got += result(start(lambda: stream.read(16384)))
    assert got == sent


@pytest.mark.parametrize("how", ["end", "reset"])
def test_read_early_tells_that_the_peer_is_gone(pair: Pair, how: str) -> None:
    stream, peer = pair
    owner = Watched(stream, take=True)
    if how == "end":
        peer.close()
    else:
        reset(peer)
    until(lambda: owner.alive, "the owner looked")
    assert owner.alive == [False]
    assert loop_rests()


def test_early_data_then_the_end(pair: Pair) -> None:
    stream, peer = pair
    owner = Watched(stream, take=True)
    peer.sendall(b"GET")
    until(lambda: owner.alive, "taken early")
    peer.close()
    until(lambda: len(owner.alive) == 2, "the end is seen")
    assert owner.alive == [True, False]
    assert result(start(lambda: stream.read(16384))) == b"GET"
    assert result(start(lambda: stream.read(16384))) == b""


# ---------------------------------------------------------------- writing


@pytest.mark.parametrize("head", [b"", b"head", b"h" * 2 * MIB])
def test_a_large_write_waits_for_the_peer_and_arrives_whole(narrow: Pair, head: bytes) -> None:
    """Be it of one piece or of two."""
    stream, peer = narrow
    body = bytes(range(256)) * (4 * MIB // 256)
    data = head + body
    job = start(lambda: stream.write_both(head, body) if head else stream.write(body))
    turns()
    assert not job.over, "the kernel cannot have taken 4 MiB"
    got = bytearray()
    while len(got) < len(data):
        got += peer.recv(65536)
    result(job)
    assert bytes(got) == data
    assert stream.write_deadline == NEVER
    assert loop_rests()


def test_reading_goes_on_while_a_write_waits(narrow: Pair) -> None:
    """One greenlet each way."""
    stream, peer = narrow
    writing = start(lambda: stream.write(b"x" * MIB))
    reading = start(lambda: stream.read(16384))
    peer.sendall(b"ping")
    assert result(reading) == b"ping"
    assert not writing.over
    left = MIB
    while left:
        left -= len(peer.recv(65536))
    result(writing)


def test_a_write_without_progress_times_out(deadlines: Deadlines) -> None:
    ours, peer = sockets(small=True)
    stream = TcpStream(ours, deadlines, write_stall=0.05)
    with pytest.raises(TimedOut):
        result(start(lambda: stream.write(b"x" * 4 * MIB)))
    assert loop_rests()
    peer.close()


def test_a_slow_peer_is_no_stall(deadlines: Deadlines) -> None:
    """`write_stall` limits the time without progress, not the whole write."""
    ours, peer = sockets(small=True)
    stream = TcpStream(ours, deadlines, write_stall=10.0)
    job = start(lambda: stream.write(b"x" * MIB))
    left = MIB
    seen = set()
    while left:
        seen.add(stream.write_deadline)
        left -= len(peer.recv(65536))
        turns(2)
    result(job)
    assert len(seen - {NEVER}) > 1, "the deadline moved on with the progress"
    peer.close()


def test_a_trickling_peer_is_no_stall_either(deadlines: Deadlines) -> None:
    """The kernel tells of room only when much is free; what the peer has taken meanwhile counts, from LEAST_RATE on."""
    ours, peer = sockets()
    stream = TcpStream(ours, deadlines, write_stall=1000.0)
    job = start(lambda: stream.write(b"x" * 16 * MIB))
    assert not job.over
    queued = unacknowledged(ours)
    assert queued > 0
    enough = int(stream.write_stall * tcp_stream.LEAST_RATE)
    stream._queued = queued + enough
    stream.expire(stream.write_deadline)
    turns()
    assert not job.over
    assert stream.write_deadline > time.monotonic() + 1500.0
    stream._queued = queued + enough - 1
    get_hub().loop.run_callback(stream.expire, stream.write_deadline)
    with pytest.raises(TimedOut):
        job.result()
    peer.close()


@pytest.mark.parametrize("waiting", [False, True])
def test_writing_to_a_reset_connection_is_a_loss(narrow: Pair, waiting: bool) -> None:
    stream, peer = narrow
    if waiting:
        job = start(lambda: stream.write(b"x" * 4 * MIB))
        assert not job.over
        reset(peer)
    else:
        reset(peer)
        until(lambda: stream.unread, "the reset is here")
        job = start(lambda: stream.write(b"x"))
    with pytest.raises(ConnectionLost):
        result(job)


# ---------------------------------------------------------------- deadlines


def test_a_reader_is_cut_at_its_deadline(pair: Pair) -> None:
    stream, peer = pair
    stream.deadline = time.monotonic() + 0.01
    with pytest.raises(TimedOut):
        result(start(lambda: stream.read(16384)))
    assert stream.deadline == NEVER
    peer.sendall(b"still open")
    assert result(start(lambda: stream.read(16384))) == b"still open"


def test_with_nobody_waiting_the_owner_hears_of_the_deadline_once(pair: Pair) -> None:
    stream, _ = pair
    owner = Watched(stream)
    stream.expire(0.0)
    assert owner.expired == 0
    stream.deadline = 5.0
    stream.expire(5.0)
    stream.expire(6.0)
    assert owner.expired == 1


def test_a_writer_is_not_cut_by_the_reading_deadline(narrow: Pair) -> None:
    """The deadline concerns whoever waits for input."""
    stream, peer = narrow
    job = start(lambda: stream.write(b"x" * MIB))
    stream.deadline = 1.0
    stream.expire(2.0)
    turns()
    assert not job.over
    left = MIB
    while left:
        left -= len(peer.recv(65536))
    result(job)


# ---------------------------------------------------------------- ends


def test_close_wakes_whoever_waits(narrow: Pair, deadlines: Deadlines) -> None:
    stream, peer = narrow
    reading = start(lambda: stream.read(16384))
    writing = start(lambda: stream.write(b"x" * 4 * MIB))
    stream.close()
    stream.close()
    for job in (reading, writing):
        with pytest.raises(ConnectionLost):
            job.result()
    assert stream not in deadlines.streams
    received(peer)
    uses: list[Callable[[], object]] = [lambda: stream.read(16384), lambda: stream.write(b"x")]
    for use in uses:
        with pytest.raises(ConnectionLost):
            start(use).result()


def test_our_output_ends_and_reading_goes_on(pair: Pair) -> None:
    """Half-closed; and the end of both is an ordinary one."""
    stream, peer = pair
    stream.write(b"question")
    stream.end_output()
    assert peer.recv(100) == b"question"
    assert peer.recv(100) == b""
    peer.sendall(b"answer")
    assert result(start(lambda: stream.read(16384))) == b"answer"
    with pytest.raises(ConnectionLost):
        stream.write(b"more")
    stream.finish()
    peer.close()
    until(lambda: stream.closed, "closed after the peer's end")


def test_ending_the_output_of_a_lost_connection_is_a_loss(pair: Pair) -> None:
    stream, peer = pair
    reset(peer)
    with pytest.raises(ConnectionLost):
        result(start(lambda: stream.read(16384)))
    with pytest.raises(ConnectionLost):
        stream.end_output()


def test_abort_is_seen_as_a_reset(pair: Pair) -> None:
    stream, peer = pair
    stream.write(b"half a respo")
    stream.abort()
    stream.abort()
    with pytest.raises(ConnectionResetError):
        received(peer)


def test_finish_loses_nothing_though_input_is_unread(narrow: Pair, deadlines: Deadlines) -> None:
    """The peer uploads on and on while the answer waits for it in the kernel: closing at once would reset the connection."""
    stream, peer = narrow
    peer.sendall(b"u" * 4096)
    result(start(lambda: stream.write(b"413 too large")))
    stream.finish()
    stream.finish()
    assert received(peer) == b"413 too large"
    peer.sendall(b"more" * 100)
    assert stream in deadlines.streams, "waits for the peer's end"
    peer.close()
    until(lambda: stream not in deadlines.streams, "closed after the peer's end")
    assert stream.closed


class Talkative(TcpStream):
    """With more to say at the end than the kernel takes at once, as close_notify behind a large response may be."""

    def _goodbye(self) -> bytes:
        return bytes(MIB)


def test_finish_finds_room_for_the_goodbye(deadlines: Deadlines) -> None:
    """One that got lost would make a whole response look like a cut one."""
    ours, peer = sockets(small=True)
    stream = Talkative(ours, deadlines, 10.0)
    stream.write(b"response")
    stream.finish()
    assert received(peer) == b"response" + bytes(MIB), "and then our end"
    assert not stream.closed
    peer.close()
    until(lambda: stream.closed, "closed after the peer's end")


def test_finish_with_a_paused_watcher_sees_the_end(pair: Pair) -> None:
    stream, peer = pair
    owner = Watched(stream)
    peer.sendall(b"unread")
    until(lambda: owner.readable, "the owner is told")
    turns()
    stream.finish()
    assert received(peer) == b""
    peer.close()
    until(lambda: stream.closed, "closed after the peer's end")


def test_finish_from_the_owner_sees_the_end(pair: Pair, monkeypatch: pytest.MonkeyPatch) -> None:
    """A parked connection whose client sends something odd is finished from inside `on_readable`."""
    stream, peer = pair

    class Finisher(Watched):
        def on_readable(self) -> None:
            self.stream.finish()

    monkeypatch.setattr(lingering, "LINGER", FOREVER)  # so that it is not the deadline that closes it
    Finisher(stream)
    peer.sendall(b"x")
    assert received(peer) == b""
    peer.close()
    until(lambda: stream.closed, "closed after the peer's end")


def test_finish_waits_for_a_bounded_time(pair: Pair) -> None:
    stream, peer = pair
    stream.finish()
    assert time.monotonic() < stream.deadline <= time.monotonic() + LINGER
    stream.expire(stream.deadline)
    assert stream.closed
    assert received(peer) == b""


def test_finish_when_the_peer_is_gone_already(pair: Pair) -> None:
    stream, peer = pair
    reset(peer)
    until(lambda: stream.unread, "the reset is here")
    stream.finish()
    until(lambda: stream.closed, "closed")


def test_descriptors_are_given_back(deadlines: Deadlines) -> None:
    """However a connection ends."""

    def count() -> int:
        return held_open()

    before = count()
    for end in ("close", "finish", "abort"):
        ours, peer = sockets()
        stream = TcpStream(ours, deadlines, 1.0)
        stream.write(b"x")
        getattr(stream, end)()
        peer.close()
        until(lambda stream=stream: stream.closed, end)  # type: ignore[misc]  # mypy does not infer default arguments of lambdas
    assert count() == before
