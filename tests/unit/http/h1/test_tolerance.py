"""What a pool tolerates is mended, and nothing else; what is passed on is clean."""

from __future__ import annotations

import pytest

from lbproxy.config.vocabulary import TOLERABLE
from lbproxy.errors import RefusedAnswer
from lbproxy.http.grammar import count_fields
from lbproxy.http.h1.tolerance import Tolerance
from lbproxy.http.heads import ResponseHeads
from lbproxy.http.message import CHUNKED, UNTIL_CLOSE, ResponseHead

FAULTY = {
    "bare_lf": b"HTTP/1.1 200 OK\nX-A: b\nContent-Length: 2\n\n",
    "field_lines": b"HTTP/1.1 200 OK\r\nX-A: b\r\nSet-Cookie : c\r\nnonsense\r\nX-C: d\x01e\r\nX D: e\r\nContent-Length: 2\r\n\r\n",
    "obs_fold": b"HTTP/1.1 200 OK\r\nX-A: b\r\n\t c\r\nContent-Length: 2\r\n\r\n",
    "repeated_length": b"HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 2\r\ncontent-length: 2, 2\r\n\r\n",
    "identity_coding": b"HTTP/1.1 200 OK\r\nX-A: b\r\nTransfer-Encoding: Identity\r\nContent-Length: 2\r\n\r\n",
}


def read(raw: bytes, *words: str, method: bytes = b"GET") -> tuple[ResponseHead, bytes]:
    """The head and what is passed on, by a pool that tolerates these."""
    known = ResponseHeads(20, tolerance=Tolerance(words)).read(raw, method)
    return known.head, known.out


def reason(raw: bytes, *words: str) -> str:
    with pytest.raises(RefusedAnswer) as refused:
        read(raw, *words)
    return refused.value.reason


@pytest.mark.parametrize("word", FAULTY)
def test_each_word_mends_its_fault_alone(word: str) -> None:
    """The client gets lines that are in the grammar, and the connection is not used again."""
    head, out = read(FAULTY[word], word)
    assert (head.status, head.body, head.keep_alive) == (200, 2, False)
    block = out[out.index(b"\r\n") : -4]
    assert count_fields(block) > 0
    assert b"\r\nX-A: b" in block
    assert b"identity" not in block.lower()
    assert block.lower().count(b"content-length") == 1
    assert b"connection" not in block.lower(), "that is ours to say"
    others = [other for other in TOLERABLE if other != word]
    reason(FAULTY[word], *others)


@pytest.mark.parametrize("status", [600, 678, 799, 999])
def test_statuses_that_nobody_knows(status: int) -> None:
    """As they are, where they are tolerated, and read as a 5xx (RFC 9110 15): with a body, and the connection goes on."""
    raw = b"HTTP/1.1 %d Denied\r\nX-A: b\r\nDate: now\r\nContent-Length: 2\r\n\r\n" % status
    head, out = read(raw, "high_status")
    assert (head.status, head.reason, head.body, head.keep_alive) == (status, b"Denied", 2, True)
    assert out.startswith(raw[:-4])
    assert reason(raw, *(word for word in TOLERABLE if word != "high_status")) == "response_status"
    assert Tolerance(("high_status",)).fault(raw[:12]) == ""
    assert Tolerance(()).fault(raw[:12]) == "response_status"


def test_statuses_that_nobody_knows_and_other_faults() -> None:
    """Each is read past only if it is named."""
    raw = b"HTTP/1.0 999\nX-A : b\n\n"
    head, out = read(raw, "high_status", "bare_lf", "field_lines")
    assert (head.status, head.body, head.keep_alive) == (999, UNTIL_CLOSE, False)
    assert out.startswith(b"HTTP/1.1 999 \r\nX-A: b\r\n")
    reason(raw, "high_status", "bare_lf")
    reason(raw, "bare_lf", "field_lines")
    assert reason(b"HTTP/1.1 6x0 OK\r\n\r\n", *TOLERABLE) == "response_status"
    assert reason(b"HTTP/1.1 099 OK\r\n\r\n", *TOLERABLE) == "response_status"
    assert reason(b"HTTP/1.1 6000 OK\r\n\r\n", *TOLERABLE) == "response_malformed"


def test_every_word_is_tried() -> None:
    """One of them takes no mending."""
    assert {*FAULTY, "high_status"} == set(TOLERABLE)


def test_what_is_in_order_is_read_as_ever() -> None:
    """Also its connection may be used again."""
    head, out = read(b"HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 2\r\n\r\n", *TOLERABLE)
    assert head.keep_alive
    assert out.startswith(b"HTTP/1.1 200 OK\r\nX-A: b\r\nContent-Length: 2\r\n")


def test_a_strict_pool_learns_nothing_from_a_tolerant_one() -> None:
    """The same bytes are refused where nothing is tolerated."""
    for raw in FAULTY.values():
        read(raw, *TOLERABLE)
        with pytest.raises(RefusedAnswer):
            ResponseHeads(20).read(raw, b"GET")


def test_folds_become_blanks() -> None:
    """RFC 9112 5.2; what is said over several lines means the same."""
    _, out = read(FAULTY["obs_fold"], "obs_fold")
    assert b"\r\nX-A: b c\r\n" in out
    head, _ = read(b"HTTP/1.1 200 OK\r\nTransfer-Encoding:\r\n chunked\r\n\r\n", "obs_fold")
    assert head.body == CHUNKED


def test_blanks_in_front_of_a_colon_hide_nothing() -> None:
    """RFC 9112 5.1: they come off, and the field counts."""
    head, out = read(b"HTTP/1.1 200 OK\r\nTransfer-Encoding : chunked\r\n\r\n", "field_lines")
    assert head.body == CHUNKED
    assert b"Set-Cookie: c\r\n" in read(FAULTY["field_lines"], "field_lines")[1]
    assert b"chunked" not in out, "the coding is ours"


@pytest.mark.parametrize(
    "line",
    [
        b"Content-Length: 2\x00",
        b"Content\x01-Length: 2",
        b"X: a\x01\rContent-Length: 2",
        b"X: a\nContent-Length: 2",
        b"Content Length: 2",
        b"Transfer-Encoding\x0b: chunked",
        b"Transfer-Encoding: chunked\x00",
        b"Connection: a\x7f",
        b"X: a\nY: b",
    ],
)
def test_what_may_decide_is_not_dropped(line: bytes) -> None:
    """Somebody else may read a length in it: refused as ever."""
    reason(b"HTTP/1.1 200 OK\r\nX-A: b\r\n%b\r\n\r\n" % line, *(word for word in TOLERABLE if word != "bare_lf"))


@pytest.mark.parametrize(
    "fields",
    [
        b" X: folded below the status line\r\n",
        b"Content-Length: 2\r\nContent-Length: 3\r\n",
        b"Content-Length: 2, 3\r\n",
        b"Content-Length: 2\r\n 3\r\n",
        b"Content-Length: +2\r\n",
        b"Content-Length: 2,\r\n",
        b"Transfer-Encoding: gzip\r\n",
        b"Transfer-Encoding: identity, chunked\r\n",
        b"Transfer-Encoding: chunked\r\nContent-Length: 2\r\n",
        b"Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n",
    ],
)
def test_what_is_still_refused(fields: bytes) -> None:
    """Whatever is tolerated: where the body ends is no matter of taste."""
    reason(b"HTTP/1.1 200 OK\r\n%b\r\n" % fields, *TOLERABLE)


def test_line_feeds() -> None:
    """Of any mixture; nothing of a head gets into what is behind it."""
    tolerance = Tolerance(("bare_lf",))
    for raw in (b"HTTP/1.0 200 OK\n\n", b"HTTP/1.0 200 OK\r\n\n", b"HTTP/1.0 200 OK\n\r\n", b"HTTP/1.0 200 OK\r\n\r\n"):
        assert tolerance.end(raw + b"body\r\n\r\n", 0) == len(raw)
        assert all(tolerance.end(raw[:at], 0) < 0 for at in range(len(raw)))
        head, _ = read(raw, "bare_lf")
        assert (head.status, head.body) == (200, UNTIL_CLOSE)
    _, out = read(b"HTTP/1.1 200 OK\r\nX: ab\r\nContent-Length: 20\r\n\n", "bare_lf")
    assert b"X: ab\r\nContent-Length: 20\r\n" in out


def test_other_protocols_are_told_at_once() -> None:
    """Of line feeds only where they are not tolerated."""
    assert Tolerance(tuple(TOLERABLE)).fault(b"SSH-2.0-x\r\n") == "response_not_http"
    assert Tolerance(("bare_lf",)).fault(b"HTTP/1.1 200 OK\nX: y\n") == ""
    assert Tolerance(("obs_fold",)).fault(b"HTTP/1.1 200 OK\nX: y\n") == "response_bare_lf"
