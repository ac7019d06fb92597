"""The patterns that requests and responses share."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.http.grammar import BARE_CR, CONTENT_LENGTH, HOST, TOKEN, count_fields, has_bare_lf, line_finder, scanner
from tests.unit.http.work import growth

TCHARS = b"!#$%&'*+-.^_`|~0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"


def test_token_bytes() -> None:
    """Every byte alone: a token if and only if RFC 9110 5.6.2 lists it."""
    for code in range(256):
        byte = bytes((code,))
        assert (TOKEN.match(byte) is not None) is (byte in TCHARS), byte


@pytest.mark.parametrize("pattern", [TOKEN, CONTENT_LENGTH, HOST])
@pytest.mark.parametrize("tail", [b"\n", b"\r\n", b"\x00", b" "])
def test_patterns_end_at_the_end(pattern: re.Pattern[bytes], tail: bytes) -> None:
    """`$` would let a line feed through."""
    assert pattern.match(b"1" + tail) is None


def line_by_line(block: bytes) -> int:
    """count_fields said slowly: every line a token, a colon, and bytes that values may have."""
    if not block:
        return 0
    lines = block.split(b"\r\n")
    if lines[0]:
        return -1
    for line in lines[1:]:
        name, colon, value = line.partition(b":")
        if not name or not colon or set(name) - set(TCHARS) or any((c < 0x20 and c != 9) or c == 0x7F for c in value):
            return -1
    return len(lines) - 1


PIECES = st.sampled_from(
    [
        b"\r\n",
        b"\r\n",
        b"\r\n",
        b"\r\nA:",
        b"\r\nHost: a",
        b"\r\n b",
        b"\r",
        b"\n",
        b":",
        b"a",
        b" ",
        b"\t",
        b"\x00",
        b"\x7f",
        b"\xff",
        b"\x0b",
    ]
)


@given(st.lists(PIECES, max_size=8).map(b"".join))
def test_count_fields(block: bytes) -> None:
    """Its four sweeps together say the same as a reading line by line. (What is in front of the first CRLF is the request line.)"""
    if block[:2] in (b"", b"\r\n"):
        assert count_fields(block) == line_by_line(block)


@pytest.mark.parametrize(("text", "bare"), [(b"a\r\nb\r\n", False), (b"a\nb", True), (b"\n", True), (b"\r\n\n", True)])
def test_bare_lf(text: bytes, bare: bool) -> None:
    """A line feed without its carriage return, also at the very front."""
    assert has_bare_lf(text) is bare


def test_bare_lf_from_the_middle() -> None:
    """A search that starts at a line feed still sees the carriage return in front of it: heads come in pieces."""
    assert not has_bare_lf(b"a\r\nb", 2)
    assert not has_bare_lf(b"a\r\nb", 3)
    assert has_bare_lf(b"ab\nc", 2)


@given(st.lists(st.sampled_from([b"\r", b"\n", b"a"]), max_size=9).map(b"".join), st.integers(0, 9))
def test_bare_lf_by_the_book(data: bytes, at: int) -> None:
    """From any place on."""
    at = min(at, len(data))
    assert has_bare_lf(data, at) == any(data[i] == 10 and data[i - 1 : i] != b"\r" for i in range(at, len(data)))


@pytest.mark.parametrize(("text", "bare"), [(b"a\r\nb", False), (b"a\rb", True), (b"a\r\r\n", True), (b"a\r", False)])
def test_bare_cr(text: bytes, bare: bool) -> None:
    """A carriage return without its line feed; at the end of the input it may still come."""
    assert (BARE_CR.search(text) is not None) is bare


def test_scanner() -> None:
    """Names are whole, repeats survive, a star takes all that begin so, values lose white space in front only."""
    scan = scanner((b"te", b"x-a-*"))
    block = b"\r\nte: a \r\nxte: b\r\ntex: c\r\nx-a-b:d\r\nx-a-:e\r\nx-a: f\r\nx: te: g\r\nte:\r\nte:\t h"
    assert scan.findall(block) == [(b"te", b"a "), (b"x-a-b", b"d"), (b"x-a-", b"e"), (b"te", b""), (b"te", b"h")]


def test_names_that_stand_twice_or_nest_deep() -> None:
    """A rule may name what a preset takes off anyway, and each of many names may begin the next."""
    finder = line_finder((b"tracestate", b"traceparent", b"tracestate", b"trace*"))
    assert finder.sub(b"", b"\r\ntracestate: a\r\nb: c\r\ntrace: d") == b"\r\nb: c"
    nested = tuple(b"a" * length for length in range(1, 500))
    finder = line_finder(nested)
    assert finder.sub(b"", b"".join(b"\r\n%b: x" % name for name in nested) + b"\r\nb: c") == b"\r\nb: c"


def test_line_finder() -> None:
    """Whole lines, CRLF in front included."""
    found = [match.group() for match in line_finder((b"te", b"x-a-*")).finditer(b"\r\nte: a\r\nb: c\r\nx-a-z:d")]
    assert found == [b"\r\nte: a", b"\r\nx-a-z:d"]


@pytest.mark.parametrize(
    ("host", "good"),
    [
        (b"a", True),
        (b"A.b-c.D", True),
        (b"a" * 63, True),
        (b"a" * 64, False),
        (b"a.", True),
        (b"a..", False),
        (b"a..b", False),
        (b".", False),
        (b"_x.a", True),
        (b"-x.a", False),
        (b"1.2.3.4:65535", True),
        (b"a:", True),
        (b"a:123456", False),
        (b"[::1]", True),
        (b"[::1]:1", True),
        (b"[::1", False),
        (b"::1", False),
        (b"[]", False),
        (b"[%25]", False),
        (b"a:1:2", False),
        (b"a@b", False),
        (b"", False),
        (b":1", False),
        (b".".join([b"a" * 62] * 4), True),
        (b".".join([b"a" * 62] * 4) + b".aa", False),
        (b'a"', False),
        (b"a\xe4", False),
    ],
)
def test_host(host: bytes, good: bool) -> None:
    """Names of labels, addresses, brackets; nothing that would have to be quoted or decoded."""
    assert (HOST.match(host) is not None) is good


@pytest.mark.parametrize("unit", [b"\r\nA:", b"\r\nA", b"\r\n", b"\r", b"a", b"\r\nA: b", b"\r\na_:", b"a.", b"a:"])
def test_work_is_linear(unit: bytes) -> None:
    """Sixteen times the input takes about sixteen times as long, whatever is repeated; back-tracking would take 256 times."""
    for run in (count_fields, has_bare_lf, BARE_CR.findall, HOST.match, scanner((b"te", b"x-*")).findall):
        assert growth(run, unit * 512, unit * 8192) < 80


words = st.text("abx-", min_size=1, max_size=4).map(str.encode)


@given(st.sets(st.tuples(words, st.booleans()), min_size=1, max_size=8), st.lists(words, max_size=6))
def test_a_tree_of_names_finds_what_a_list_of_them_would(wanted: set[tuple[bytes, bool]], lines: list[bytes]) -> None:
    """Whatever the names have in common, in whatever order."""
    names = tuple(name + b"*" if any_more else name for name, any_more in wanted)
    block = b"".join(b"\r\n%b: 1" % line for line in lines)
    expected = [line for line in lines if any(line == name if not any_more else line.startswith(name) for name, any_more in wanted)]
    assert [name for name, _ in scanner(names).findall(block)] == expected
