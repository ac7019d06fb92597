"""Conversations come out of messages as they went in, and nobody's nonsense does."""

from __future__ import annotations

import struct

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.observe.tapped import LARGEST, MOST, PART, Gathering, Tapped, apart, messages, together

ONE = Tapped("192.0.2.1", "192.0.2.2", 443, b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n", 5.25)


@given(
    st.lists(st.tuples(st.integers(0, 200_000), st.integers(0, 200_000)), min_size=1, max_size=3),
    st.sampled_from(["192.0.2.1", "2001:db8::1", "unix:", ""]),
)
def test_they_come_out_as_they_went_in(sizes: list[tuple[int, int]], client: str) -> None:
    """One after the other, in messages that are never larger than one may be."""
    gathering, found = Gathering(), []
    said = [ONE._replace(client=client, request=b"r" * request, answer=b"a" * answer) for request, answer in sizes]
    for one in said:
        for message in messages("ids", one):
            assert len(message) <= LARGEST
            found.append(gathering.take(message))
    assert [each for each in found if each is not None] == [("ids", one) for one in said]
    assert gathering.torn == 0


def test_one_that_is_not_whole_is_left_out() -> None:
    """Its worker has died, or whoever listened before: nothing of it is put together with another one."""
    large = [*messages("ids", ONE._replace(answer=b"a" * 150_000))]
    gathering = Gathering()
    assert [gathering.take(message) for message in (large[0], *messages("ids", ONE))] == [None, ("ids", ONE)]
    assert gathering.torn == 1
    assert [gathering.take(message) for message in (*large[1:], *messages("ids", ONE))][-1] == ("ids", ONE)
    assert gathering.torn == 2


@given(st.lists(st.binary(max_size=50)))
def test_several_as_one(said: list[bytes]) -> None:
    """They come apart as they went together; what is cut off is refused, or was whole before."""
    message = together(said)
    assert [*apart(message)] == said
    assert len(message) == 1 + sum(PART + len(each) for each in said)
    for end in range(1, len(message)):
        try:
            found = [*apart(message[:end])]
        except ValueError:
            continue
        assert found == said[: len(found)]


@given(st.binary(max_size=200), st.integers(0, 255))
def test_nonsense_is_refused(data: bytes, flags: int) -> None:
    """Whatever a worker says that was taken over: it is no conversation, or one of sizes that are true."""
    gathering = Gathering()
    try:
        found = [gathering.take(each) for each in apart(bytes((flags,)) + data)]
    except ValueError:
        return
    assert sum(len(one[1].request) + len(one[1].answer) for one in found if one is not None) <= len(data)


def test_sizes_that_are_not_true() -> None:
    """Nor does memory grow by what is said to follow."""
    head = struct.pack("!BBBHdLL", 3, 0, 0, 80, 1.0, 2**32 - 1, 0)
    with pytest.raises(ValueError, match="as large"):
        Gathering().take(b"\3" + head + b"ids")
    for ended in (float("nan"), float("inf"), -1.0):
        with pytest.raises(ValueError, match="as large"):
            Gathering().take(b"\3" + struct.pack("!BBBHdLL", 0, 0, 0, 80, ended, 0, 0))
    gathering = Gathering()
    gathering.take(b"\1")
    more = b"\0" + b"x" * (LARGEST - 1)
    for _ in range(MOST // (LARGEST - 1)):
        assert gathering.take(more) is None
    with pytest.raises(ValueError, match="larger than any"):
        gathering.take(more)
