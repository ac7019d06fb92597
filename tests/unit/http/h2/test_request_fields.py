"""Requests' fields to heads. What single requests mean is in tests/corpus/http2; here are limits, memory, and both ways at once."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.errors import RequestError
from lbproxy.http.forwarding import Forwarder
from lbproxy.http.grammar import count_fields
from lbproxy.http.h1.request import parse_request
from lbproxy.http.h2 import request_fields as module
from lbproxy.http.h2.request_fields import RequestFields
from lbproxy.http.h2.vocabulary import Fields
from lbproxy.http.message import CHUNKED, RequestHead
from tests.corpus.http2.vectors import Vector, vectors
from tests.support.h2_frames import GET, POST


def key() -> bytes:
    return b"AAAAAAAAAAAAAAAAAAAAAA=="

ACCEPT, REJECT = vectors("accept"), vectors("reject")


def reader(max_line: int = 8192, max_fields: int = 100, max_head: int = 32768) -> RequestFields:
    return RequestFields(max_line, max_fields, max_head)


def refusal(fields: Fields, fresh: RequestFields | None = None, ended: bool = True) -> tuple[int, str]:
    """(status, reason) of what must be refused."""
    with pytest.raises(RequestError) as caught:
        (fresh or reader()).read(fields, ended, key)
    return caught.value.status, caught.value.reason


@pytest.mark.parametrize("vector", REJECT, ids=lambda vector: vector.name)
def test_refused(vector: Vector) -> None:
    """As the index says; whatever was read on the connection before, and whatever stands around the fault."""
    expected = (vector.expected.get("status", 400), vector.expected["reason"])
    assert refusal(vector.fields) == expected
    used = reader()
    used.read(GET, True)
    used.read((*GET[:3], (b":path", b"/other"), (b"accept", b"*/*")), True)
    assert refusal(vector.fields, used) == expected
    assert refusal((*vector.fields, (b"accept", b"*/*")), used) == expected
    assert used.read(GET, True).target == b"/"


@pytest.mark.parametrize("vector", ACCEPT, ids=lambda vector: vector.name)
def test_accepted(vector: Vector) -> None:
    """As the index says, and a backend's parser reads the forwarded head as the same request."""
    expected = vector.expected
    ended = expected.get("body", 0) == 0 and not expected.get("upgrade")
    head = reader().read(vector.fields, ended, key)
    for name in ("method", "target", "path", "host", "upgrade"):
        if name in expected:
            assert getattr(head, name) == expected[name].encode(), name
    assert head.body == {"chunked": CHUNKED}.get(expected.get("body", 0), expected.get("body", 0))
    lines = head.block.split(b"\r\n")[1:]
    for line in expected.get("lines", []):
        assert line.encode() in lines
    out = Forwarder("192.0.2.1", "https", 443, ()).request(head)
    for name in expected.get("absent", []):
        assert b"\r\n" + name.encode() + b":" not in out.lower()
    again = parse_request(out, 8192, 200)
    assert (again.method, again.target, again.host, again.body) == (head.method, head.target, head.host, head.body)
    assert out.lower().count(b"\r\nhost:") == 1


def test_limits() -> None:
    """The same as over HTTP/1: the request line, the number of fields, the size of all."""
    assert refusal((*GET[:3], (b":path", b"/" + b"a" * 100)), reader(max_line=50)) == (414, "request_line_too_long")
    many = tuple((b"x%d" % count, b"y") for count in range(10))
    assert reader(max_fields=11).read((*GET, *many), True).host == b"example.com"
    assert refusal((*GET, *many), reader(max_fields=10)) == (431, "too_many_fields")
    assert refusal((*GET, (b"x", b"y" * 200)), reader(max_head=200)) == (431, "head_too_large")


def test_the_same_again_is_the_same_object() -> None:
    """What later steps recognise their work by; also where only the path is another, the fields' block is the same."""
    used = reader()
    fields = (*GET, (b"user-agent", b"x"), (b"cookie", b"a=b"))
    first = used.read(fields, True)
    assert used.read((*GET, *fields[4:]), True) is first
    other = used.read((*GET[:3], (b":path", b"/other"), *fields[4:]), True)
    assert other.target == b"/other"
    assert other.block is first.block
    assert used.read((*GET[:3], (b":path", b"/third"), *fields[4:]), True).block is first.block


def test_what_differs_is_told_apart() -> None:
    """Memory is no matter of meaning: another host, another end, another field are another head."""
    used = reader()
    assert used.read(POST, False).body == CHUNKED
    assert used.read(POST, True).body == 0
    assert used.read(POST, False).body == CHUNKED
    elsewhere = (POST[0], POST[1], (b":authority", b"other.example"), POST[3])
    assert used.read(elsewhere, True).host == b"other.example"
    assert used.read((*POST, (b"content-length", b"5")), False).body == 5
    assert used.read(POST, False).body == CHUNKED
    hosted = (POST[0], POST[1], POST[3], (b"host", b"third.example"))
    assert used.read(hosted, True).host == b"third.example"
    assert refusal((*POST, (b"host", b"third.example")), used) == (400, "host_mismatch")
    assert used.read(hosted, True).host == b"third.example"


def test_large_heads_are_not_remembered() -> None:
    """Thousands of clients must not have us keep what they like."""
    used = reader()
    fields = (*GET, (b"x", b"y" * 8000))
    first = used.read(fields, True)
    assert used.read(fields, True) is not first
    assert used._lines == b""


def test_names_that_do_not_end_hold_no_memory() -> None:
    """Known names are forgotten before there are too many of them."""
    used = reader()
    for count in range(2000):
        used.read((*GET, (b"x%d" % count, b"y")), True)
    assert len(module._lines) <= 512


def test_a_websocket_without_a_key_is_not_served() -> None:
    """Where RFC 8441 is not offered, who asks for it all the same is told so."""
    fields = ((b":method", b"CONNECT"), (b":protocol", b"websocket"), *GET[1:])
    with pytest.raises(RequestError) as caught:
        reader().read(fields, False)
    assert (caught.value.status, caught.value.reason) == (501, "connect_protocol")


def as_head(fields: Fields) -> RequestHead | None:
    try:
        return reader().read(fields, True, key)
    except RequestError:
        return None


ANY = st.binary(max_size=12)
NAMES = st.sampled_from([b":method", b":path", b":authority", b":scheme", b":protocol", b"host", b"cookie", b"te", b"x"]) | ANY
VALUES = st.sampled_from([b"GET", b"/", b"https", b"example.com", b"websocket", b"CONNECT", b"trailers"]) | ANY


@given(st.lists(st.tuples(NAMES, VALUES), max_size=8), st.booleans())
def test_no_list_of_fields_becomes_more_lines_than_it_has(fields: list[tuple[bytes, bytes]], whole: bool) -> None:
    """Whatever is accepted is a block of as many sound lines as fields at most, and ours."""
    head = as_head((*GET, *fields) if whole else tuple(fields))
    if head is not None:
        assert 0 < count_fields(head.block) <= len(fields) + 5
        assert b"\r" not in head.target
        assert b" " not in head.target
