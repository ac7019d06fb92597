"""RFC 9113, 7541 and 9218 over raw frames, further: streams that were answered, windows that move meanwhile, what we compress."""

from __future__ import annotations

import pytest

from lbproxy.http.h2.vocabulary import H2Code
from tests.support.h2_frames import (
    CONTINUATION,
    DATA,
    GET,
    GOAWAY,
    HEADERS,
    ORIGIN,
    PRIORITY,
    PRIORITY_UPDATE,
    RST_STREAM,
    WINDOW_UPDATE,
    data,
    frame,
    frames,
    headers,
    literal,
    ping,
    reset,
    settings,
    window,
)
from tests.support.h2_peer import Heads
from tests.unit.http.h2.dialogue import Dialogue

ASK = b"\x82\x87\x84\x01\x01a"
PROTOCOL, FLOW, SIZE, COMPRESSION = (
    H2Code.PROTOCOL_ERROR, H2Code.FLOW_CONTROL_ERROR, H2Code.FRAME_SIZE_ERROR, H2Code.COMPRESSION_ERROR
)  # fmt: skip
OK = ((b":status", b"200"),)


def answered() -> Dialogue:
    """A request that has its whole answer: its stream is closed, by the ends of both."""
    dialogue = Dialogue()
    dialogue.say(headers(1))
    dialogue.engine.respond(1, OK, True)
    dialogue.answer()
    dialogue.heard.told.clear()
    return dialogue


def ends(dialogue: Dialogue, sent: bytes) -> list[int]:
    """Codes of the GOAWAY that it says to that."""
    return [each.code for each in dialogue.say(sent) if each.kind == GOAWAY]


@pytest.mark.parametrize(("sent", "codes"), [
    (data(1, b"x"), []), (data(1, b"", end=True), []), (headers(1), []), (headers(1, end=False), []),
    (frame(CONTINUATION, 1, ASK, 4), [PROTOCOL]), (window(1, 5), []), (reset(1), []), (frame(PRIORITY, 1, b"\0\0\0\0\x10"), []),
    (frame(PRIORITY_UPDATE, 0, b"\0\0\0\1u=1"), []),
])  # fmt: skip
def test_what_comes_on_a_stream_that_was_answered(sent: bytes, codes: list[int]) -> None:
    """5.1 "closed": whether or not it may have been on its way it is thrown away, and nobody is told of anything. (The RFC would
    let us end the connection.)"""
    dialogue = answered()
    assert ends(dialogue, sent) == codes
    assert not dialogue.told("request", "data", "trailers")
    assert (dialogue.engine.failure is None) == (not codes)


def test_what_is_thrown_away_fills_no_window() -> None:
    """5.1, 6.9: of a stream that was answered."""
    dialogue = answered()
    opened = 0
    for _ in range(20):
        said = dialogue.say(data(1, b"x" * 16384))
        opened += sum(int.from_bytes(each.payload, "big") for each in said if (each.kind, each.stream) == (WINDOW_UPDATE, 0))
    assert dialogue.engine.failure is None
    assert opened >= 19 * 16384 - 32768


def test_a_request_below_the_last_one_begins_nothing() -> None:
    """5.1.1: streams that were left out are closed by the one that follows; its fields keep the tables of compression alike."""
    dialogue = Dialogue()
    dialogue.say(headers(5))
    assert ends(dialogue, frame(HEADERS, 3, ASK + literal(b"x", b"y", 0x40), 5)) == []
    dialogue.say(frame(HEADERS, 7, ASK + b"\xbe", 5))
    told = dialogue.told("request")
    assert [each[1] for each in told] == [5, 7]
    assert told[-1][2][-1] == (b"x", b"y")


def test_what_is_on_its_way_when_we_give_a_stream_up() -> None:
    """5.1: DATA and trailers are thrown away; their bytes count for the connection's window, which opens again; the table of
    compression stays the same for both."""
    dialogue = Dialogue()
    dialogue.say(headers(1, ((b":method", b"POST"), *GET[1:]), end=False))
    dialogue.engine.reset(1, H2Code.CANCEL)
    said = dialogue.answer()
    assert [(each.kind, each.code) for each in said] == [(RST_STREAM, H2Code.CANCEL)]
    dialogue.heard.told.clear()
    said = dialogue.say(data(1, b"x" * 16384) * 3)
    assert sum(int.from_bytes(each.payload, "big") for each in said if (each.kind, each.stream) == (WINDOW_UPDATE, 0)) >= 32768
    assert ends(dialogue, frame(HEADERS, 1, literal(b"x-late", b"in the table", 0x40), 5)) == []
    assert not dialogue.told("data", "trailers")
    dialogue.say(frame(HEADERS, 3, ASK + b"\xbe", 5))
    [(_, _, fields, _)] = dialogue.told("request")
    assert fields[-1] == (b"x-late", b"in the table")


def sent(dialogue: Dialogue, more: bytes = b"") -> int:
    """Bytes of bodies in what it says."""
    return sum(len(each.payload) for each in (dialogue.say(more) if more else dialogue.answer()) if each.kind == DATA)


def test_a_window_that_is_made_smaller_than_what_was_sent() -> None:
    """6.9.2: it is below nothing then, and has to be opened above it before more is sent."""
    dialogue = Dialogue()
    dialogue.say(headers(1) + window(0, 1 << 20))
    dialogue.engine.respond(1, OK, False)
    dialogue.engine.send(1, b"x" * 100_000, True)
    assert sent(dialogue) == 65535
    assert sent(dialogue, settings((4, 16384))) == 0
    assert sent(dialogue, window(1, 65535 - 16384)) == 0
    assert sent(dialogue, window(1, 1)) == 1
    assert sent(dialogue, settings((4, 16384 + 1000))) == 1000
    assert sent(dialogue, window(1, 1 << 20)) == 100_000 - 65535 - 1001


def test_the_connections_window_is_that_of_all_streams() -> None:
    """6.9.1: however wide theirs are; and an answer without a body needs none."""
    dialogue = Dialogue()
    dialogue.say(settings((4, 1 << 20)) + headers(1) + headers(3) + headers(5))
    for stream in (1, 3):
        dialogue.engine.respond(stream, OK, False)
        dialogue.engine.send(stream, b"x" * 60_000, True)
    dialogue.engine.respond(5, OK, True)
    said = dialogue.answer()
    assert sum(len(each.payload) for each in said if each.kind == DATA) == 65535
    assert 5 in {each.stream for each in said if each.kind == HEADERS}
    assert sent(dialogue, window(0, 10)) == 10


def test_more_than_the_connections_window() -> None:
    """6.9: by streams together, each within its own."""
    dialogue = Dialogue()
    post = ((b":method", b"POST"), *GET[1:])
    dialogue.say(headers(1, post, end=False) + headers(3, post, end=False))
    assert ends(dialogue, data(1, b"x" * 16384) * 3 + data(3, b"x" * 16384)) == [FLOW]


def test_frames_are_as_large_as_the_peer_takes_them() -> None:
    """4.2, 6.5.2: never more than ours for all the others that it may take."""
    dialogue = Dialogue()
    dialogue.say(settings((5, 1 << 20), (4, 1 << 20)) + window(0, 1 << 20) + headers(1))
    dialogue.engine.respond(1, OK, False)
    dialogue.engine.send(1, b"x" * 100_000, True)
    sizes = [len(each.payload) for each in dialogue.answer() if each.kind == DATA]
    assert sum(sizes) == 100_000
    assert max(sizes) <= 16384


@pytest.mark.parametrize("size", [0, 40, 4096, 1 << 20])
def test_what_we_compress_fits_into_the_peers_table(size: int) -> None:
    """7541 4.2, 6.3: a smaller one is told at the beginning of the next list, and one of nothing is used for nothing."""
    dialogue, heads = Dialogue(), Heads()
    said = b""
    for number, stream in enumerate((1, 3, 5)):
        if number == 1:
            dialogue.engine.receive(settings((1, size)))
        dialogue.engine.receive(headers(stream))
        dialogue.engine.respond(stream, (*OK, (b"x-some", b"value of some length"), (b"set-cookie", b"a=%d" % number)), True)
        said = dialogue.engine.output(1 << 20)
        [told] = [event for event in heads.read(frames(said)) if event[0] == "response"]
        assert dict(told[2])[b"set-cookie"] == b"a=%d" % number
    assert (len(said) > 30) == (size < 100)


@pytest.mark.parametrize(("raw", "codes"), [
    (frame(PRIORITY_UPDATE, 0, b"\0\0\0\1u=9, what?"), []), (frame(PRIORITY_UPDATE, 0, b"\0\0\0\1" + b"u=1, " * 100), []),
    (frame(PRIORITY_UPDATE, 0, b"\0\0\0\0u=1"), []), (frame(PRIORITY_UPDATE, 1, b"\0\0\0\1u=1"), [PROTOCOL]),
    (frame(PRIORITY_UPDATE, 0, b"\0\0\0"), [SIZE]), (frame(PRIORITY_UPDATE, 0, b"\0\0\0\2u=1"), [PROTOCOL]),
    (frame(PRIORITY_UPDATE, 0, b"\0\0\0\1u=1") * 50, []),
    (frame(0xA, 1, b"\0\0x"), []), (frame(ORIGIN, 0, b"\0\1x"), []),
])  # fmt: skip
def test_extensions(raw: bytes, codes: list[int]) -> None:
    """9218 7.1: what cannot be a priority is none, nor is that of stream 0 (for which the RFC would end the connection); ALTSVC and
    ORIGIN are for clients."""
    dialogue = Dialogue()
    dialogue.say(headers(1))
    assert ends(dialogue, raw) == codes


@pytest.mark.parametrize(("block", "expected"), [
    (ASK + literal(b"x", b"y", 0x10), (b"x", b"y")),
    (ASK + b"\x0f\x2b\x01z", (b"user-agent", b"z")),
    (ASK + b"\x1f\x2b\x01z", (b"user-agent", b"z")),
    (ASK + b"\x00\x82\xf3\xcf\x01y", None),
    (ASK + b"\x7a\x85\x1c\x64\x92\x5c\x9f", None),
    (b"\x3f\xe1\x1f" + ASK + literal(b"x", b"y", 0x40), (b"x", b"y")),
    (b"\x20\x3f\xe1\x1f" + ASK + literal(b"x", b"y", 0x40), (b"x", b"y")),
])  # fmt: skip
def test_every_form_of_a_field(block: bytes, expected: tuple[bytes, bytes] | None) -> None:
    """7541 6.2.2, 6.2.3, 6.3, and by Huffman's code; None: whatever it says, the connection goes on."""
    dialogue = Dialogue()
    said = dialogue.say(frame(HEADERS, 1, block, 5))
    assert not [each for each in said if each.kind == GOAWAY]
    if expected is not None:
        [(_, _, fields, _)] = dialogue.told("request")
        assert fields[-1] == expected
    assert dialogue.say(ping(b"still up"))


@pytest.mark.parametrize("block", [
    b"\x3f\xe2\x1f" + ASK,  # 4097
    b"\x20\x20\x20" + ASK + b"\xbe",  # an empty table has no entry
    ASK + b"\x41\xff\xff\xff\xff\xff\xff\xff\xff\x7f", ASK + b"\x40", ASK + b"\x00\x01", ASK + b"\x40\x81",
])  # fmt: skip
def test_what_cannot_be_decompressed(block: bytes) -> None:
    """7541 4.2, 5.1, 5.2, 2.3.3: nobody is told of the request, for the tables of both are no longer the same."""
    dialogue = Dialogue()
    assert ends(dialogue, frame(HEADERS, 1, block, 5)) == [COMPRESSION]
    assert not dialogue.told("request")


def test_an_old_entry_leaves_the_table() -> None:
    """7541 4.3, 4.4: the oldest first, as soon as there is no room for the new one."""
    dialogue = Dialogue()
    for number, stream in enumerate(range(1, 21, 2)):
        dialogue.say(frame(HEADERS, stream, ASK + literal(b"x-%d" % number, b"y" * 1000, 0x40), 5))
    dialogue.heard.told.clear()
    dialogue.say(frame(HEADERS, 21, ASK + b"\xbe\xbf\xc0", 5))
    [(_, _, fields, _)] = dialogue.told("request")
    assert [name for name, _ in fields[-3:]] == [b"x-9", b"x-8", b"x-7"]
    assert ends(dialogue, frame(HEADERS, 23, ASK + b"\xc1", 5)) == [COMPRESSION]


def test_a_request_behind_our_goaway() -> None:
    """6.8: it may go elsewhere, and nobody is told of it; what it brings keeps the table of compression, and fills no window."""
    dialogue = Dialogue()
    dialogue.say(headers(1))
    dialogue.engine.refuse_more()
    dialogue.answer()
    dialogue.heard.told.clear()
    said = dialogue.say(frame(HEADERS, 3, ASK + literal(b"x", b"y", 0x40), 4) + data(3, b"x" * 16384) * 3)
    assert not dialogue.told("request", "data")
    assert not [each for each in said if each.kind == GOAWAY and each.code]
    dialogue.engine.respond(1, OK, True)
    assert [each.stream for each in dialogue.answer() if each.kind == HEADERS] == [1]
