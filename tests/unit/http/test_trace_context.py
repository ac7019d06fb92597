"""Request ids and traces: taken over when they are well-formed and believed, made otherwise."""

from __future__ import annotations

import os
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.http.trace_context import Ids, request_id, trace
from tests.unit.http.heads import request

TRACE, PARENT = b"0af7651916cd43dd8448eb211c80319c", b"b7ad6b7169203331"
MEMBERS = {count: b",".join(b"k%d=1" % n for n in range(count)) for count in (32, 33)}
SOUND = b"00-" + TRACE + b"-" + PARENT + b"-01"


def ids() -> Ids:
    return Ids(os.urandom)


@pytest.mark.parametrize(
    "came", [b"1", b"9d1c2b9e-7a50-4c2b-8d5e-3a7f1c0e9b1d", b"Root=1-67891233-abcdef012345678912345678", b"a" * 128]
)
def test_an_id_that_came(came: bytes) -> None:
    """Passed on as it is, when who sent it is believed."""
    assert request_id(request(b"X-Request-ID:  %b " % came), True, ids()) == came.decode()
    assert re.fullmatch("[0-9a-f]{32}", request_id(request(b"X-Request-ID: %b" % came), False, ids()))


@pytest.mark.parametrize("lines", [
    (), (b"",), (b"a b",), (b'a"b',), (b"a\xc3\xa9",), (b"a" * 129,), (b"1", b"2"), (b"<script>",), (b"a;b",), (b"a\tb",),
])  # fmt: skip
def test_an_id_that_is_none(lines: tuple[bytes, ...]) -> None:
    """Absent, malformed, or two of them: a new one."""
    head = request(*(b"X-Request-Id: " + value for value in lines))
    assert re.fullmatch("[0-9a-f]{32}", request_id(head, True, ids()))


@given(st.lists(st.integers(1, 40), min_size=1, max_size=300))
def test_ids_are_never_the_same(sizes: list[int]) -> None:
    """No byte that was drawn is used twice, over pages, and each page is drawn when it is needed."""
    drawn: list[int] = []

    def draw(size: int) -> bytes:
        drawn.append(len(drawn))
        return bytes([1 + (len(drawn) * size + index) % 255 for index in range(size)])

    made = Ids(draw)
    found = [made.new(size) for size in sizes]
    assert [len(each) // 2 for each in found] == sizes
    assert len(drawn) <= sum(sizes) // (Ids.PAGE - 40) + 1


def test_an_id_is_never_zero() -> None:
    """The trace context forbids it."""
    pages = [bytes(Ids.PAGE), b"\1" * Ids.PAGE]
    assert Ids(lambda size: pages.pop(0)).new(8) == "01" * 8


def test_a_trace_is_continued() -> None:
    """The same trace, its sender as the parent, a span of ours; tracestate comes along."""
    found = trace(request(b"traceparent: " + SOUND, b"tracestate: a=1, b@c=2", b"tracestate: d=3"), True, ids())
    assert (found.trace_id, found.parent_id, found.flags) == (TRACE.decode(), PARENT.decode(), 1)
    assert re.fullmatch("[0-9a-f]{16}", found.span_id)
    assert found.span_id != found.parent_id
    assert found.lines() == b"\r\ntraceparent: 00-%b-%b-01\r\ntracestate: a=1,b@c=2,d=3" % (TRACE, found.span_id.encode())


@pytest.mark.parametrize(("came", "flags"), [
    (SOUND, 1), (SOUND[:-2] + b"00", 0), (SOUND[:-2] + b"ff", 3), (b"cc" + SOUND[2:], 1),
    (b"cc" + SOUND[2:] + b"-what-is-to-come", 1),
])  # fmt: skip
def test_versions_and_flags(came: bytes, flags: int) -> None:
    """A later version counts by the part that is known of it, and flags that nobody knows are cleared."""
    found = trace(request(b"traceparent: " + came), True, ids())
    assert (found.trace_id, found.flags) == (TRACE.decode(), flags)


@pytest.mark.parametrize("lines", [
    (), (b"",), (SOUND, SOUND), (SOUND + b"-x",), (SOUND.upper(),), (b"ff" + SOUND[2:],), (SOUND[:-1],), (SOUND + b"0",),
    (b"00-" + b"0" * 32 + b"-" + PARENT + b"-01",), (b"00-" + TRACE + b"-" + b"0" * 16 + b"-01",), (SOUND.replace(b"-", b"_"),),
    (b"cc" + SOUND[2:] + b".x",), (b"0" + SOUND,), (SOUND + b", " + SOUND,),
])  # fmt: skip
def test_a_trace_is_started_anew(lines: tuple[bytes, ...]) -> None:
    """Whenever what came is not exactly one sound traceparent: and then tracestate is nobody's."""
    found = trace(request(*(b"traceparent: " + value for value in lines), b"tracestate: a=1"), True, ids())
    assert found.trace_id != TRACE.decode()
    assert (found.parent_id, found.flags, found.state) == ("", 1, b"")


def test_a_trace_of_who_is_not_believed() -> None:
    """Is not continued."""
    assert trace(request(b"traceparent: " + SOUND), False, ids()).trace_id != TRACE.decode()


@pytest.mark.parametrize(("state", "expected"), [
    (b"a=1", b"a=1"), (b" a=1 ,\tb=2 ", b"a=1,b=2"), (b"a=1,,b=2", b"a=1,b=2"), (b"A=1", b""), (b"a=1,a=2", b""), (b"a", b""),
    (b"a=", b""), (b"a=b=c", b""), (b"1a@b=x y", b"1a@b=x y"), (MEMBERS[32], MEMBERS[32]), (MEMBERS[33], b""),
    (b"a=" + b"x" * 257, b""), (b"", b""), (b"a=\xc3\xa9", b""),
])  # fmt: skip
def test_tracestate(state: bytes, expected: bytes) -> None:
    """Passed on when its grammar holds, dropped otherwise; the trace itself goes on either way."""
    found = trace(request(b"traceparent: " + SOUND, b"tracestate: " + state), True, ids())
    assert (found.trace_id, found.state) == (TRACE.decode(), expected)


@given(st.binary(max_size=80))
def test_whatever_comes_what_goes_on_is_sound(anything: bytes) -> None:
    """Ids and lines are of the known form, and continue themselves."""
    value = bytes(byte for byte in anything if byte in b"\t" or 32 <= byte < 127 or byte > 127)
    head = request(b"X-Request-Id: " + value, b"traceparent: " + value, b"tracestate: " + value)
    assert re.fullmatch(r"[0-9A-Za-z._:/+=@~-]{1,128}", request_id(head, True, ids()))
    first = trace(head, True, ids())
    again = trace(request(*first.lines().split(b"\r\n")[1:]), True, ids())
    assert (again.trace_id, again.parent_id, again.flags, again.state) == (first.trace_id, first.span_id, first.flags, first.state)
