"""RFC 9113 and RFC 7541, section by section, over raw frames: what a server does with each.

This list decides whether another version of the library under http/h2/engine.py may be used. Where the RFC leaves a choice, the
choice that is made stands here.
"""

from __future__ import annotations

from typing import NamedTuple

import pytest

from lbproxy.http.h2.bounds import Bounds
from lbproxy.http.h2.vocabulary import H2Code
from tests.support import h2_frames as wire
from tests.support.h2_frames import (
    ACK,
    CONTINUATION,
    DATA,
    END_HEADERS,
    END_STREAM,
    GET,
    GOAWAY,
    HEADERS,
    PADDED,
    PING,
    POST,
    PREFACE,
    PRIORITY,
    PUSH_PROMISE,
    RST_STREAM,
    SETTINGS,
    WINDOW_UPDATE,
    WITH_PRIORITY,
    block,
    data,
    frame,
    goaway,
    headers,
    literal,
    ping,
    reset,
    settings,
    window,
)  # fmt: skip
from tests.unit.http.h2.dialogue import Dialogue

BIG = 16 * 1024
PROTOCOL, SIZE, FLOW, COMPRESSION = (
    H2Code.PROTOCOL_ERROR,
    H2Code.FRAME_SIZE_ERROR,
    H2Code.FLOW_CONTROL_ERROR,
    H2Code.COMPRESSION_ERROR,
)
CLOSED, CALM = H2Code.STREAM_CLOSED, H2Code.ENHANCE_YOUR_CALM


class Ends(NamedTuple):
    """The connection does, with GOAWAY."""

    code: int


class Resets(NamedTuple):
    """The stream does, with RST_STREAM; the connection goes on."""

    code: int
    stream: int = 1


class Serves(NamedTuple):
    """These streams' requests were told of, nothing was reset, and the connection goes on."""

    streams: tuple[int, ...]


NOTHING = Serves(())
ONE = Serves((1,))
Verdict = Ends | Resets | Serves


class Case(NamedTuple):
    section: str
    what: str
    sent: bytes
    verdict: Verdict


def half(stream: int) -> bytes:
    """A request that has not ended."""
    return headers(stream, POST, end=False)


def done(stream: int) -> bytes:
    """A request whose stream we and the client have ended by reset."""
    return headers(stream) + reset(stream)


ASK = block(GET)
PRIO = b"\0\0\0\0\x10"

FRAMES = [
    Case("4.1", "a frame of an unknown type is ignored", frame(0x42, 0, b"what") + headers(1), ONE),
    Case("4.1", "unknown flags are ignored", frame(PING, 0, b"12345678", 0x16) + headers(1), ONE),
    Case("4.1", "the reserved bit of a stream's number is ignored", frame(HEADERS, (1 << 31) | 1, ASK, 5), ONE),
    Case("4.2", "a frame of the largest size", half(1) + data(1, b"x" * BIG), ONE),
    Case("4.2", "DATA above the largest size", half(1) + data(1, b"x" * (BIG + 1)), Ends(SIZE)),
    Case("4.2", "HEADERS above the largest size", frame(HEADERS, 1, b"\0" * (BIG + 1), 5), Ends(SIZE)),
    Case("4.2", "SETTINGS above the largest size", frame(SETTINGS, 0, b"\0" * (BIG + 2)), Ends(SIZE)),
    Case("4.3", "a list that cannot be decompressed", frame(HEADERS, 1, b"\xff\xff\xff\xff\xff\x0f", 5), Ends(COMPRESSION)),
    Case("4.3", "PRIORITY between HEADERS and CONTINUATION", frame(HEADERS, 1, ASK, 1) + frame(PRIORITY, 1, PRIO), Ends(PROTOCOL)),
    Case("4.3", "an unknown frame between HEADERS and CONTINUATION", frame(HEADERS, 1, ASK, 1) + frame(0x42, 0), Ends(PROTOCOL)),
    Case("4.3", "HEADERS of another stream in place of CONTINUATION", frame(HEADERS, 1, ASK, 1) + headers(3), Ends(PROTOCOL)),
]

STREAMS = [
    Case("5.1", "DATA on an idle stream", data(1, b"x"), Ends(PROTOCOL)),
    Case("5.1", "RST_STREAM on an idle stream", reset(1), Ends(PROTOCOL)),
    Case("5.1", "WINDOW_UPDATE on an idle stream", window(1, 1), Ends(PROTOCOL)),
    Case("5.1", "CONTINUATION on an idle stream", frame(CONTINUATION, 1, ASK, 4), Ends(PROTOCOL)),
    Case("5.1", "PRIORITY on an idle stream is allowed", frame(PRIORITY, 1, PRIO) + headers(1), ONE),
    Case("5.1", "DATA on a half-closed stream", headers(1) + data(1, b"x"), Ends(CLOSED)),
    Case("5.1", "HEADERS on a half-closed stream", headers(1) + headers(1), Ends(CLOSED)),
    Case("5.1", "CONTINUATION on a half-closed stream", headers(1) + frame(CONTINUATION, 1, ASK, 4), Ends(PROTOCOL)),
    Case("5.1", "WINDOW_UPDATE on a half-closed stream", headers(1) + window(1, 5), ONE),
    Case("5.1", "PRIORITY on a half-closed stream", headers(1) + frame(PRIORITY, 1, PRIO), ONE),
    Case("5.1", "RST_STREAM on a half-closed stream", headers(1) + reset(1), ONE),
    Case("5.1", "DATA on a stream that was reset by its sender is ignored", done(1) + data(1, b"x"), ONE),
    Case("5.1", "HEADERS on a stream that was reset by its sender are ignored", done(1) + headers(1), ONE),
    Case("5.1", "WINDOW_UPDATE on a closed stream is allowed", done(1) + window(1, 1), ONE),
    Case("5.1", "RST_STREAM on a closed stream is allowed", done(1) + reset(1), ONE),
    Case("5.1", "PRIORITY on a closed stream is allowed", done(1) + frame(PRIORITY, 1, PRIO), ONE),
    Case("5.1.1", "a request on stream 0", frame(HEADERS, 0, ASK, 5), Ends(PROTOCOL)),
    Case("5.1.1", "a request on an even stream", headers(2), Ends(PROTOCOL)),
    Case("5.1.1", "a stream's number below the last one's begins nothing", headers(5) + headers(3), Serves((5,))),
    Case("5.1.1", "numbers may be left out", headers(5) + headers(101), Serves((5, 101))),
    Case("5.1.1", "the last number there is", headers(0x7FFFFFFF), Serves((0x7FFFFFFF,))),
    Case("5.3.2", "a stream that depends on itself is no matter any more", frame(PRIORITY, 1, b"\0\0\0\x01\x10") + headers(1), ONE),
    Case("5.4.1", "after GOAWAY of the client its streams go on", half(1) + goaway() + data(1, b"x", True), ONE),
    Case("5.5", "a setting nobody knows", settings((0xABCD, 7)) + headers(1), ONE),
]

DATA_FRAMES = [
    Case("6.1", "DATA on stream 0", frame(DATA, 0, b"x"), Ends(PROTOCOL)),
    Case("6.1", "DATA with padding", half(1) + frame(DATA, 1, b"\x03abc\0\0\0", PADDED | END_STREAM), ONE),
    Case("6.1", "DATA that is all padding", half(1) + frame(DATA, 1, b"\x03\0\0\0", PADDED | END_STREAM), ONE),
    Case("6.1", "padding longer than the frame", half(1) + frame(DATA, 1, b"\x06abc\0\0", PADDED), Ends(PROTOCOL)),
    Case("6.1", "padding as long as the frame", half(1) + frame(DATA, 1, b"\x07abc\0\0\0", PADDED), Ends(PROTOCOL)),
    Case("6.1", "a padded frame without the length of its padding", half(1) + frame(DATA, 1, b"", PADDED), Ends(PROTOCOL)),
    Case("6.1", "DATA in the middle of a list of fields", frame(HEADERS, 1, ASK, 0) + data(1, b"x"), Ends(PROTOCOL)),
]

HEADERS_FRAMES = [
    Case("6.2", "HEADERS with padding", frame(HEADERS, 1, b"\x02" + ASK + b"\0\0", 5 | PADDED), ONE),
    Case("6.2", "padding longer than what is left of HEADERS", frame(HEADERS, 1, b"\xff" + ASK, 5 | PADDED), Ends(PROTOCOL)),
    Case("6.2", "HEADERS with a priority", frame(HEADERS, 1, PRIO + ASK, 5 | WITH_PRIORITY), ONE),
    Case("6.2", "HEADERS too short for their priority", frame(HEADERS, 1, b"\0\0\0", 5 | WITH_PRIORITY), Ends(SIZE)),
    Case("6.2", "HEADERS with both", frame(HEADERS, 1, b"\x01" + PRIO + ASK + b"\0", 5 | WITH_PRIORITY | PADDED), ONE),
    Case("6.2", "a list in pieces", frame(HEADERS, 1, ASK[:7], 1) + frame(CONTINUATION, 1, ASK[7:], 4), ONE),
    Case("6.2", "END_STREAM on HEADERS that go on", frame(HEADERS, 1, ASK[:9], 1) + frame(CONTINUATION, 1, ASK[9:], 4), ONE),
]

OTHER_FRAMES = [
    Case("6.3", "PRIORITY on stream 0 is as little matter as any", frame(PRIORITY, 0, PRIO) + headers(1), ONE),
    Case("6.3", "PRIORITY of another size", headers(1) + frame(PRIORITY, 1, b"\0\0\0\0"), Ends(SIZE)),
    Case("6.4", "RST_STREAM on stream 0", frame(RST_STREAM, 0, b"\0\0\0\x08"), Ends(PROTOCOL)),
    Case("6.4", "RST_STREAM of another size", headers(1) + frame(RST_STREAM, 1, b"\0\0\0"), Ends(SIZE)),
    Case("6.4", "RST_STREAM with an unknown code", headers(1) + reset(1, 0xFFFF), ONE),
    Case("6.5", "SETTINGS on a stream", frame(SETTINGS, 1), Ends(PROTOCOL)),
    Case("6.5", "an acknowledgement that says something", frame(SETTINGS, 0, b"\0\x03\0\0\0\x01", ACK), Ends(SIZE)),
    Case("6.5", "SETTINGS of no multiple of six", frame(SETTINGS, 0, b"\0\x03\0"), Ends(SIZE)),
    Case("6.5.2", "ENABLE_PUSH that is neither 0 nor 1", settings((2, 2)), Ends(PROTOCOL)),
    Case("6.5.2", "INITIAL_WINDOW_SIZE above the largest", settings((4, 1 << 31)), Ends(FLOW)),
    Case("6.5.2", "the largest INITIAL_WINDOW_SIZE", settings((4, (1 << 31) - 1)) + headers(1), ONE),
    Case("6.5.2", "MAX_FRAME_SIZE below the smallest", settings((5, BIG - 1)), Ends(PROTOCOL)),
    Case("6.5.2", "MAX_FRAME_SIZE above the largest", settings((5, 1 << 24)), Ends(PROTOCOL)),
    Case("6.5.2", "the same setting twice: the last one counts", settings((4, 1), (4, 70000)) + headers(1), ONE),
    Case("8441.3", "ENABLE_CONNECT_PROTOCOL that is neither 0 nor 1", settings((8, 2)), Ends(PROTOCOL)),
    Case("9218.2.1", "NO_RFC7540_PRIORITIES that is neither 0 nor 1", settings((9, 2)), Ends(PROTOCOL)),
    Case("6.6", "PUSH_PROMISE from a client", headers(1) + frame(PUSH_PROMISE, 1, b"\0\0\0\x02" + ASK, 4), Ends(PROTOCOL)),
    Case("6.7", "PING on a stream", frame(PING, 1, b"12345678"), Ends(PROTOCOL)),
    Case("6.7", "PING of another size", frame(PING, 0, b"1234567"), Ends(SIZE)),
    Case("6.7", "an answer to a PING that was not sent", ping(ack=True) + headers(1), ONE),
    Case("6.8", "GOAWAY on a stream", frame(GOAWAY, 1, bytes(8)), Ends(PROTOCOL)),
    Case("6.8", "GOAWAY that is too short", frame(GOAWAY, 0, bytes(7)), Ends(SIZE)),
    Case("6.9", "WINDOW_UPDATE by nothing, on the connection", window(0, 0), Ends(PROTOCOL)),
    Case("6.9", "WINDOW_UPDATE by nothing, on a stream", headers(1) + window(1, 0), Ends(PROTOCOL)),
    Case("6.9", "WINDOW_UPDATE of another size", frame(WINDOW_UPDATE, 0, b"\0\0\x01"), Ends(SIZE)),
    Case("6.9.1", "the connection's window beyond the largest", window(0, 0x7FFFFFFF), Ends(FLOW)),
    Case("6.9.1", "a stream's window beyond the largest", headers(1) + window(1, 0x7FFFFFFF), Ends(FLOW)),
    Case("6.9.2", "a setting that moves a stream's window beyond the largest",
         half(1) + window(1, 0x7FFFFFFF - 65535) + settings((4, 65536)), Ends(FLOW)),
    Case("6.9", "more than a stream's window", half(1) + data(1, b"x" * BIG) * 4, Ends(FLOW)),
    Case("6.10", "CONTINUATION behind a list that has ended", half(1) + frame(CONTINUATION, 1, ASK, 4), Ends(PROTOCOL)),
    Case("6.10", "CONTINUATION on stream 0", frame(HEADERS, 1, ASK, 1) + frame(CONTINUATION, 0, b"", 4), Ends(PROTOCOL)),
    Case("6.10", "CONTINUATION of another stream", frame(HEADERS, 1, ASK, 1) + frame(CONTINUATION, 3, b"", 4), Ends(PROTOCOL)),
    Case("6.10", "eight empty CONTINUATION frames", frame(HEADERS, 1, ASK, 1) + frame(CONTINUATION, 1) * 7
         + frame(CONTINUATION, 1, b"", 4), ONE),
    Case("6.10", "CONTINUATION without end", frame(HEADERS, 1, ASK, 1) + frame(CONTINUATION, 1) * 9, Ends(CALM)),
]  # fmt: skip

MESSAGES = [
    Case("8.1", "trailers end the stream", half(1) + headers(1, [(b"x", b"y")]), ONE),
    Case("8.1", "trailers that do not end the stream", half(1) + headers(1, [(b"x", b"y")], end=False), Resets(PROTOCOL)),
    Case("8.1", "pseudo-fields in trailers", half(1) + headers(1, [(b":method", b"GET")]), Resets(PROTOCOL)),
    Case("8.1.1", "less than Content-Length", headers(1, [*POST, (b"content-length", b"5")], False) + data(1, b"abc", True),
         Resets(PROTOCOL)),
    Case("8.1.1", "more than Content-Length", headers(1, [*POST, (b"content-length", b"5")], False) + data(1, b"abcdef"),
         Resets(PROTOCOL)),
    Case("8.1.1", "Content-Length and no body", headers(1, [*POST, (b"content-length", b"5")]), Resets(PROTOCOL)),
    Case("8.1.1", "Content-Length twice", headers(1, [*POST, (b"content-length", b"0"), (b"content-length", b"0")]),
         Resets(PROTOCOL)),
    Case("8.1.1", "Content-Length that is no number", headers(1, [*POST, (b"content-length", b"+5")], False), Resets(PROTOCOL)),
    Case("8.2", "a name in upper case", headers(1, [*GET, (b"Accept", b"*/*")]), Resets(PROTOCOL)),
    Case("8.2", "an empty name", headers(1, [*GET, (b"", b"x")]), Resets(PROTOCOL)),
    Case("8.2.1", "a colon in a name", headers(1, [*GET, (b"x:y", b"z")]), Resets(PROTOCOL)),
    Case("8.2.1", "a blank in a name", headers(1, [*GET, (b"x y", b"z")]), Resets(PROTOCOL)),
    Case("8.2.1", "a control byte in a name", headers(1, [*GET, (b"x\x01", b"z")]), Resets(PROTOCOL)),
    Case("8.2.1", "a byte above 127 in a name", headers(1, [*GET, (b"x\xe9", b"z")]), Resets(PROTOCOL)),
    Case("8.2.1", "NUL in a value", headers(1, [*GET, (b"x", b"a\0b")]), Resets(PROTOCOL)),
    Case("8.2.1", "LF in a value", headers(1, [*GET, (b"x", b"a\nb")]), Resets(PROTOCOL)),
    Case("8.2.1", "CR in a value", headers(1, [*GET, (b"x", b"a\rb")]), Resets(PROTOCOL)),
    Case("8.2.1", "a value that begins with a blank", headers(1, [*GET, (b"x", b" a")]), Resets(PROTOCOL)),
    Case("8.2.1", "a value that ends with a tab", headers(1, [*GET, (b"x", b"a\t")]), Resets(PROTOCOL)),
    Case("8.2.1", "an empty value, and one above 127", headers(1, [*GET, (b"x", b""), (b"y", b"\xe9")]), ONE),
    *(Case("8.2.2", f"{name.decode()} belongs to HTTP/1", headers(1, [*GET, (name, value)]), Resets(PROTOCOL))
      for name, value in ((b"connection", b"close"), (b"keep-alive", b"5"), (b"proxy-connection", b"close"),
                          (b"transfer-encoding", b"chunked"), (b"upgrade", b"h2c"))),
    Case("8.2.2", "TE that says more than trailers", headers(1, [*GET, (b"te", b"gzip")]), Resets(PROTOCOL)),
    Case("8.2.2", "TE: trailers", headers(1, [*GET, (b"te", b"trailers")]), ONE),
    Case("8.3", "an unknown pseudo-field", headers(1, [*GET, (b":what", b"x")]), Resets(PROTOCOL)),
    Case("8.3", "a response's pseudo-field", headers(1, [*GET, (b":status", b"200")]), Resets(PROTOCOL)),
    Case("8.3", "a pseudo-field behind others", headers(1, [*GET[:3], (b"accept", b"*/*"), GET[3]]), Resets(PROTOCOL)),
    Case("8.3", "a pseudo-field twice", headers(1, [*GET, GET[3]]), Resets(PROTOCOL)),
    Case("8.3.1", "no :method", headers(1, GET[1:]), Resets(PROTOCOL)),
    Case("8.3.1", "no :scheme", headers(1, [GET[0], *GET[2:]]), Resets(PROTOCOL)),
    Case("8.3.1", "no :path", headers(1, GET[:3]), Resets(PROTOCOL)),
    Case("8.3.1", "an empty :path", headers(1, [*GET[:3], (b":path", b"")]), Resets(PROTOCOL)),
    Case("8.3.1", "neither :authority nor Host", headers(1, [GET[0], GET[1], GET[3]]), Resets(PROTOCOL)),
    Case("8.3.1", "Host in place of :authority", headers(1, [GET[0], GET[1], GET[3], (b"host", b"a")]), ONE),
    Case("8.3.1", "'*' for another method than OPTIONS", headers(1, [*GET[:3], (b":path", b"*")]), Resets(PROTOCOL)),
    Case("8.5", "CONNECT with a :path", headers(1, [(b":method", b"CONNECT"), *GET[1:]]), Resets(PROTOCOL)),
    Case("8441.4", ":protocol with another method", headers(1, [*GET, (b":protocol", b"websocket")]), Resets(PROTOCOL)),
    Case("8441.4", ":protocol without :scheme", headers(1, [(b":method", b"CONNECT"), (b":protocol", b"websocket"), *GET[2:]]),
         Resets(PROTOCOL)),
    Case("8441.4", "CONNECT with :protocol", headers(1, [(b":method", b"CONNECT"), (b":protocol", b"websocket"), *GET[1:]], False),
         ONE),
]  # fmt: skip

COMPRESSED = [
    Case("7541.2.3.3", "an index beyond the tables", frame(HEADERS, 1, b"\xfe", 5), Ends(COMPRESSION)),
    Case("7541.2.3.3", "a name's index beyond the tables", frame(HEADERS, 1, b"\x7e\x01x", 5), Ends(COMPRESSION)),
    Case("7541.4.2", "a table larger than allowed", frame(HEADERS, 1, wire.number(4097, 5, 0x20) + ASK, 5), Ends(COMPRESSION)),
    Case("7541.4.2", "a table's size in the middle of a list", frame(HEADERS, 1, ASK + b"\x20", 5), Ends(COMPRESSION)),
    Case("7541.4.2", "a smaller table", frame(HEADERS, 1, b"\x20" + ASK, 5), ONE),
    Case("7541.4.4", "a field larger than the table empties it", frame(HEADERS, 1, ASK + literal(b"x", b"y" * 4200, 0x40), 5), ONE),
    Case("7541.5.1", "a number that does not end", frame(HEADERS, 1, b"\xff" + b"\xff" * 10, 5), Ends(COMPRESSION)),
    Case("7541.5.2", "a string longer than the list", frame(HEADERS, 1, b"\0\x0ax", 5), Ends(COMPRESSION)),
    Case("7541.5.2", "Huffman's padding of more than seven bits", frame(HEADERS, 1, b"\0\x82\x1f\xff\x01y", 5), Ends(COMPRESSION)),
    Case("7541.5.2", "Huffman's padding of zeros", frame(HEADERS, 1, b"\0\x81\x00\x01y", 5), Ends(COMPRESSION)),
    Case("7541.5.2", "Huffman's end of string inside one", frame(HEADERS, 1, b"\0\x84\xff\xff\xff\xff\x01y", 5), Ends(COMPRESSION)),
    Case("7541.6.1", "index 0", frame(HEADERS, 1, b"\x80", 5), Ends(COMPRESSION)),
    Case("7541.6.1", "static fields by index", frame(HEADERS, 1, b"\x82\x87\x84\x01\x01a", 5), ONE),
    Case("7541.6.2.1", "a field that was put into the table comes back by index",
         frame(HEADERS, 1, b"\x82\x87\x84" + b"\x41\x01a", 5) + frame(HEADERS, 3, b"\x82\x87\x84\xbe", 5), Serves((1, 3))),
]  # fmt: skip

ALL = FRAMES + STREAMS + DATA_FRAMES + HEADERS_FRAMES + OTHER_FRAMES + MESSAGES + COMPRESSED


@pytest.mark.parametrize("case", ALL, ids=lambda case: f"{case.section} {case.what}")
@pytest.mark.parametrize("piece", [1 << 20, 1], ids=["whole", "byte by byte"])
def test_what_a_server_does(case: Case, piece: int) -> None:
    """The verdict is the same however the bytes arrive."""
    dialogue = Dialogue()
    said: list[wire.Frame] = []
    for at in range(0, len(case.sent), piece):
        said += dialogue.say(case.sent[at : at + piece])
    ends = [each for each in said if each.kind == GOAWAY]
    resets = [each for each in said if each.kind == RST_STREAM]
    if isinstance(case.verdict, Ends):
        assert [each.code for each in ends] == [case.verdict.code], said
        assert dialogue.engine.failure is not None
        return
    assert not ends, said
    if isinstance(case.verdict, Resets):
        assert [(each.code, each.stream) for each in resets] == [(case.verdict.code, case.verdict.stream)], said
        expected = [each[1] for each in dialogue.told("request", "given up")]
    else:
        assert not resets, said
        expected = list(case.verdict.streams)
        assert [each[1] for each in dialogue.told("request", "given up")] == expected
    # The connection goes on.
    answer = dialogue.say(ping(b"still up"))
    assert [each.payload for each in answer if each.kind == PING] == [b"still up"] or goaway() in case.sent


def test_settings_of_ours_come_first_and_the_clients_are_acknowledged() -> None:
    """3.4, 6.5: nothing is said before SETTINGS, and what the client settles is acknowledged."""
    dialogue = Dialogue()
    first = dialogue.hello[0]
    assert (first.kind, first.stream, first.flags) == (SETTINGS, 0, 0)
    said = {int.from_bytes(first.payload[at : at + 2], "big"): int.from_bytes(first.payload[at + 2 : at + 6], "big")
            for at in range(0, len(first.payload), 6)}  # fmt: skip
    assert said == {3: 128, 4: 65535, 6: 65536, 8: 1, 9: 1}
    assert [(each.kind, each.flags) for each in dialogue.first] == [(SETTINGS, ACK)]


@pytest.mark.parametrize("greeting", [b"GET / HTTP/1.1\r\nHost: a\r\n\r\n", PREFACE[:-1] + b"x", b"\x16\x03\x01\0\0\0\0\0\0" * 3])
def test_another_preface(greeting: bytes) -> None:
    """3.4: whoever does not begin with the preface does not speak HTTP/2."""
    dialogue = Dialogue(greeting=greeting)
    assert [(each.kind, each.code) for each in dialogue.first] == [(GOAWAY, PROTOCOL)]
    assert dialogue.engine.failure is not None
    assert dialogue.engine.failure.reason == "h2_preface"


def test_settings_must_come_first() -> None:
    """3.4: the client's first frame is SETTINGS."""
    dialogue = Dialogue(greeting=PREFACE + headers(1))
    assert [each.code for each in dialogue.first if each.kind == GOAWAY] == [PROTOCOL]


def test_streams_at_once() -> None:
    """5.1.2: one too many, from a client that cannot know yet, is refused in a way that tells that nothing was done; one that
    ended makes room. From a client that has acknowledged the limit it ends the connection."""
    dialogue = Dialogue(bounds=Bounds(streams=2), greeting=PREFACE + settings())
    said = dialogue.say(headers(1) + headers(3) + headers(5))
    assert [(each.kind, each.stream, each.code) for each in said] == [(RST_STREAM, 5, H2Code.REFUSED_STREAM)]
    assert [each[1] for each in dialogue.told("request")] == [1, 3]
    dialogue.engine.respond(1, [(b":status", b"204")], True)
    dialogue.answer()
    assert not [each for each in dialogue.say(headers(7)) if each.kind == RST_STREAM]
    assert [each.code for each in dialogue.say(settings(ack=True) + headers(9)) if each.kind == GOAWAY] == [PROTOCOL]


def test_what_lists_may_hold() -> None:
    """10.5.1: a list beyond bounds ends the connection, which says why."""
    small = Dialogue(bounds=Bounds(list_size=400))
    assert [each.code for each in small.say(headers(1, [*GET, (b"x", b"y" * 300)])) if each.kind == GOAWAY] == [CALM]
    assert small.engine.failure is not None
    assert small.engine.failure.reason == "h2_header_size"
    few = Dialogue(bounds=Bounds(list_count=5))
    assert [each.code for each in few.say(headers(1, [*GET, (b"x", b"y"), (b"x", b"y")])) if each.kind == GOAWAY] == [CALM]
    assert few.engine.failure is not None
    assert few.engine.failure.reason == "h2_header_count"


def test_a_bomb_of_references_is_bounded_like_any_other_list() -> None:
    """RFC 7541 7.3: a few bytes that stand for megabytes are counted as what they stand for."""
    dialogue = Dialogue()
    stuffed = literal(b"x", b"y" * 4000, 0x40)
    begin = b"\x82\x87\x84\x01\x01a"
    said = dialogue.say(frame(HEADERS, 1, begin + stuffed, 5) + frame(HEADERS, 3, begin + b"\xbe" * 200, 5))
    assert [each.code for each in said if each.kind == GOAWAY] == [CALM]
    assert [each[1] for each in dialogue.told("request")] == [1]


def test_acknowledgements_that_nobody_fetches() -> None:
    """10.5: PING and SETTINGS without end, from a client that reads nothing."""
    for flood in (ping(), settings()):
        dialogue = Dialogue()
        dialogue.engine.receive(flood * 300)
        assert dialogue.engine.failure is not None
        assert (dialogue.engine.failure.code, dialogue.engine.failure.reason) == (CALM, "h2_answers")


@pytest.mark.parametrize(
    "flood",
    [frame(PRIORITY, 1, PRIO), frame(0x42, 0, b"x"), data(1)],
    ids=["PRIORITY", "unknown", "empty DATA"],
)
def test_frames_that_no_sound_peer_sends_so_often(flood: bytes) -> None:
    """10.5: what is told to nobody is counted by the library itself."""
    dialogue = Dialogue()
    said = dialogue.say(half(1) + flood * 1100)
    assert [each.code for each in said if each.kind == GOAWAY] == [CALM]
    assert dialogue.engine.failure is not None
    assert dialogue.engine.failure.reason == "h2_glitches"
    assert dialogue.engine.over


def test_the_names_of_all_cases_are_told_apart() -> None:
    """One that hides another would not be run."""
    assert len({(case.section, case.what) for case in ALL}) == len(ALL)
    assert END_HEADERS == 4
