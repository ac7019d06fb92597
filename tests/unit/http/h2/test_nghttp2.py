"""libnghttp2 as it is called where lbproxy was compiled."""

from __future__ import annotations

import pytest

from lbproxy.http.h2 import nghttp2
from lbproxy.http.h2.bounds import RESETS
from lbproxy.http.h2.vocabulary import Failure, H2Code
from tests.support.h2_frames import (
    CONTINUATION,
    END_HEADERS,
    END_STREAM,
    GET,
    GOAWAY,
    HEADERS,
    POST,
    RST_STREAM,
    WINDOW_UPDATE,
    block,
    data,
    frame,
    headers,
    long_headers,
    ping,
    reset,
)
from tests.support.h2_peer import Heads
from tests.unit.http.h2.dialogue import Dialogue


def test_the_compiled_form_finds_the_library_where_it_expects_it() -> None:
    """Else every connection would go by ngh2's objects, and nobody would notice but the clock."""
    assert (not nghttp2.__file__.endswith(".py")) == nghttp2.NATIVE


@pytest.mark.skipif(not nghttp2.NATIVE, reason="ngh2 0.3.0 forgets such frames")
def test_a_frame_whose_stream_was_given_up_fills_no_window() -> None:
    """Half a DATA frame is here when we reset its stream: the connection's window gets back what nobody is told of."""
    dialogue = Dialogue()
    dialogue.say(headers(1, POST, end=False))
    whole = data(1, b"x" * 16384)
    opened = 0
    for stream in range(1, 21, 2):
        if stream > 1:
            dialogue.say(headers(stream, POST, end=False))
            whole = data(stream, b"x" * 16384)
        dialogue.engine.receive(whole[:12000])
        dialogue.engine.reset(stream, 8)
        for _, _, came, _ in dialogue.told("data"):
            dialogue.engine.taken(stream, len(came))
        dialogue.heard.told.clear()
        said = [*dialogue.answer(), *dialogue.say(whole[12000:])]
        opened += sum(int.from_bytes(each.payload, "big") for each in said if (each.kind, each.stream) == (WINDOW_UPDATE, 0))
    assert dialogue.engine.failure is None
    assert opened >= 6 * 16384


@pytest.mark.skipif(not nghttp2.NATIVE, reason="of the native form: the other one tells of frames, when they are whole")
def test_what_came_of_a_body_in_one_read_is_told_as_one_piece() -> None:
    """However its frames take turns with others, what is half here as well; what brings nothing, and is counted, is not hidden."""
    dialogue = Dialogue()
    dialogue.say(headers(1, POST, end=False) + headers(3, POST, end=False))
    dialogue.heard.told.clear()
    torn = data(1, b"gh" + b"i" * 100)
    dialogue.engine.receive(data(1, b"ab") + data(3, b"AB") + data(1, b"") + data(1, b"c") + ping() + data(3, b"C") + torn[:11])
    assert dialogue.told("data") == [("data", 1, b"abcgh", False), ("data", 3, b"ABC", False), ("data", 1, b"", False)]
    dialogue.heard.told.clear()
    dialogue.engine.receive(torn[11:] + data(3, b"D", end=True) + data(1, b"j", end=True))
    assert dialogue.told("data") == [("data", 1, b"i" * 100 + b"j", True), ("data", 3, b"D", True)]
    assert dialogue.engine.taken(1, 108)
    with pytest.raises(ValueError, match="more was taken"):
        dialogue.engine.taken(1, 5)


@pytest.mark.skipif(not nghttp2.NATIVE, reason="of the native form: the other one tells of everything")
def test_a_request_that_comes_with_its_own_reset_is_told_as_one_thing() -> None:
    """Only where nothing stands between; whatever else comes in the same piece is told as ever."""
    dialogue = Dialogue()
    dialogue.say(headers(1) + reset(1) + headers(3) + ping() + reset(3) + headers(5, POST, end=False) + data(5, b"x") + reset(5))
    assert [each[:2] for each in dialogue.heard.told if each[0] != "ping"] == [
        ("given up", 1), ("request", 3), ("reset", 3), ("closed", 3), ("request", 5), ("data", 5), ("reset", 5), ("closed", 5),
    ]  # fmt: skip
    dialogue.heard.told.clear()
    dialogue.say(headers(7))
    dialogue.say(reset(7) + headers(9))
    assert [each[:2] for each in dialogue.heard.told] == [("request", 7), ("reset", 7), ("closed", 7), ("request", 9)]


@pytest.mark.skipif(not nghttp2.NATIVE, reason="of the native form: the other one reads to the end")
def test_a_flood_of_resets_is_not_read_to_its_end() -> None:
    """As soon as there are more than can be honest the connection ends, and nobody is told of what came with it."""
    for count, ends in ((RESETS, False), (RESETS + 1, True)):
        dialogue = Dialogue()
        said = dialogue.say(b"".join(headers(stream) + reset(stream) for stream in range(1, 2 * count, 2)))
        if not ends:
            assert (dialogue.engine.failure, len(dialogue.told("given up"))) == (None, RESETS)
            continue
        assert dialogue.engine.failure == Failure(H2Code.ENHANCE_YOUR_CALM, "h2_resets")
        assert [each.code for each in said if each.kind == GOAWAY] == [H2Code.ENHANCE_YOUR_CALM]
        assert dialogue.heard.told == []


LONG = b"c" * 70_000


@pytest.mark.skipif(not nghttp2.NATIVE, reason="of the native form: ngh2's objects do not tell where it happened")
@pytest.mark.parametrize(("sent", "code"), [
    (long_headers(3, (*GET, (b"cookie", LONG))), H2Code.COMPRESSION_ERROR),
    (long_headers(3, (*GET, *((b"cookie", LONG[:1000]),) * 70)), H2Code.ENHANCE_YOUR_CALM),
    (headers(3, (*GET, *((b"a", b"b"),) * 300)), H2Code.ENHANCE_YOUR_CALM),
    (frame(HEADERS, 3, block(GET), END_STREAM) + frame(CONTINUATION, 3) * 20, H2Code.ENHANCE_YOUR_CALM),
], ids=["a field above 64 KiB", "a list above its bounds", "too many fields", "too many frames"])  # fmt: skip
def test_whose_fields_are_too_large_is_answered_before_the_connection_ends(sent: bytes, code: H2Code) -> None:
    """RFC 9113 10.5.1: people see what is wrong instead of a broken connection. Nobody is told to come again."""
    dialogue = Dialogue()
    dialogue.say(headers(1))
    said = [each for each in dialogue.say(sent) if each.kind in (HEADERS, RST_STREAM, GOAWAY)]
    assert [(each.kind, each.stream, each.flags) for each in said] == [(HEADERS, 3, END_STREAM | END_HEADERS), (GOAWAY, 0, 0)]
    assert (said[1].last, said[1].code) == (3, code)
    assert Heads().statuses(said[:1]) == {3: 431}
    assert [each for each in dialogue.heard.told if each[0] == "overlong"] == [("overlong", 3)]


@pytest.mark.skipif(not nghttp2.NATIVE, reason="of the native form: ngh2's objects do not tell where it happened")
@pytest.mark.parametrize("sent", [
    [headers(1, POST, end=False), long_headers(1, ((b"x", LONG),))],
    [headers(1) + reset(1), long_headers(1, ((b"x", LONG),))],
    [headers(1, (*GET, (b"X", b"y"))), long_headers(1, ((b"x", LONG),))],
    [headers(1) + frame(0xA, 1, LONG[:20_000])],
    [frame(HEADERS, 1, block(GET), END_STREAM) + ping()],
], ids=["trailers", "of a stream that is over", "behind a malformed one", "a frame", "a head that does not go on"])  # fmt: skip
def test_what_else_ends_a_connection_is_not_answered_so(sent: list[bytes]) -> None:
    """There is no request that waits, or nothing that could be said of it."""
    dialogue = Dialogue()
    said = [each for piece in sent for each in dialogue.say(piece)]
    assert [each.kind for each in said if each.kind in (HEADERS, GOAWAY)] == [GOAWAY]
    assert not dialogue.told("overlong")
