"""What is passed on means to seven other parsers what it means here: where it ends, what it asks for, what stands behind it.

The parsers are real (tests/support/readers.py). They disagree among themselves about a part of what is refused, which is what
request smuggling lives on; a test says so, lest readers be compared here that would agree about anything.
"""

from __future__ import annotations

from collections.abc import Collection

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from lbproxy.http.h1.chunks import ChunkDecoder
from tests.corpus.http1.vectors import Vector, vectors
from tests.support.readers import READERS, Read, Refused
from tests.unit.proxy.world import World, ok

END = b"\r\n\r\n"
NEXT = b"GET /next HTTP/1.1\r\nHost: next.example\r\n\r\n"
BEHIND = Read(b"GET", b"/next", b"")
ACCEPT, REJECT = vectors("accept"), vectors("reject")

REFUSES = {
    "rl-method-longest": {"gunicorn": "more than twenty characters", "httptools": "not in its list", "aiohttp": "not in its list"},
}
"""What is sound, but not for that reader."""


def meaning(message: bytes) -> tuple[Read, bool] | None:
    """(a forwarded message as we mean it, whether it asks for an upgrade); None while its end is missing."""
    head, _, body = message.partition(END)
    method, target, _ = head.partition(b"\r\n")[0].split(b" ")
    fields = dict(line.lower().split(b": ", 1) for line in head.split(b"\r\n")[1:] if b": " in line)
    if fields.get(b"transfer-encoding") == b"chunked":
        decoder = ChunkDecoder()
        body = decoder.feed(body)
        if not decoder.done:
            return None
    elif len(body) != int(fields.get(b"content-length", b"0")):
        return None
    return Read(method, target, body), b"upgrade" in fields


def forwarded(raw: bytes) -> list[bytes]:
    """The messages that reach a backend when a client sends `raw`; each gets its answer before the next one is read."""
    world = World(1)
    world.connect().feed(raw)
    messages: list[bytes] = []
    seen = 0
    while world.upstreams and not world.upstream.end:
        message = world.upstream.sent[seen:]
        if not message or meaning(message) is None:
            break
        messages.append(message)
        connection, seen = world.upstream, len(world.upstream.sent)
        world.upstream.feed(ok())
        if world.upstream is not connection:
            seen = 0
    return messages


def check(message: bytes, may_refuse: Collection[str]) -> None:
    """Every reader sees this request as we mean it, and the next one behind it. A refusal frames nothing, so some may refuse."""
    meant = meaning(message)
    assert meant is not None
    ours, upgrades = meant
    for reader, read in READERS.items():
        if reader == "http.server" and b"\r\nTransfer-Encoding: chunked\r\n" in message:
            continue  # it knows no chunked bodies
        try:
            found = read(message + NEXT)
        except Refused as refusal:
            if reader in may_refuse:
                continue
            raise AssertionError(f"{reader} refuses {message!r}") from refusal
        if upgrades and found == [ours._replace(body=b"")]:
            continue  # it stops reading HTTP behind the head: nobody's request comes behind on that connection (upgrade.py)
        assert found == ([ours, BEHIND] if len(found) > 1 or not upgrades else [ours]), f"{reader} reads {message!r} as {found}"


@pytest.mark.parametrize("vector", ACCEPT, ids=lambda vector: vector.name)
def test_accepted(vector: Vector) -> None:
    """The corpus."""
    if vector.name == "cl-fifteen-digits":
        return  # its body is not there
    messages = forwarded(vector.raw)
    assert messages
    for message in messages:
        check(message, REFUSES.get(vector.name, ()))


def opinions(raw: bytes) -> set[tuple[Read, ...]]:
    """How those that take it frame it."""
    found = set()
    for read in READERS.values():
        try:
            found.add(tuple(read(raw + NEXT)))
        except Refused:
            pass
    return found


def test_readers_disagree_about_what_is_refused() -> None:
    """Most of what is refused is taken by one of them, and some of it is framed in two ways by two: it had to be refused."""
    framings = [len(opinions(vector.raw)) for vector in REJECT]
    assert sum(count >= 1 for count in framings) >= 350
    assert sum(count >= 2 for count in framings) >= 25


PIECES = [
    *(b"\r\n", b"\n", b"\r", b" ", b"\t", b"\x00", b"\x0b", b"\xa0", b":", b",", b";", b"0", b"5", b"-", b"+", b"_", b"0x"),
    *(b"Content-Length: 5\r\n", b"Content-Length: 0\r\n", b"Transfer-Encoding: chunked\r\n", b"Connection: content-length\r\n"),
    *(b"Host: a\r\n", b"0\r\n\r\n", b"5\r\nhello\r\n", b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", b"HTTP/1.0", b"chunked"),
    *(b"Expect: 100-continue\r\n", b"HEAD", b"head", b"//", b"/../", b"%2e", b"?", b"#", b"Connection: close\r\n"),
]
SEEDS = sorted({vector.raw for vector in ACCEPT + REJECT if len(vector.raw) < 400})


@st.composite
def mutated(draw: st.DrawFn) -> bytes:
    """A message of the corpus with a few pieces put in, cut out or repeated."""
    raw = draw(st.sampled_from(SEEDS))
    for _ in range(draw(st.integers(0, 3))):
        at = draw(st.integers(0, len(raw)))
        end = draw(st.integers(at, min(len(raw), at + 24)))
        middle = draw(st.one_of(st.sampled_from(PIECES), st.just(b""), st.just(raw[at:end] * 2)))
        raw = raw[:at] + middle + raw[end:]
    return raw


@settings(max_examples=400, deadline=None)
@given(mutated(), mutated())
def test_made_up(first: bytes, second: bytes) -> None:
    """Two messages behind each other, each bent a little: whatever of them is passed on, everybody reads alike."""
    for message in forwarded(first + second):
        check(message, READERS)
