"""Answers of ICAP servers, as they write them."""

from __future__ import annotations

import pytest

from lbproxy.http.icap.answers import MAX_HEAD, NO_OPTIONS, BadIcapAnswer, end_of_head, read_head, read_options


def test_lines_are_theirs_to_choose() -> None:
    """LF alone, folds, no reason, names of any case, fields that are there twice."""
    head = read_head(b"ICAP/1.0 200\nencapsulated: req-hdr=0,\n  res-hdr=10 ,res-body=30\nX: 1\nx: 2\nConnection: Close\n\n")
    assert (head.status, head.keep_alive, head.fields[b"x"]) == (200, False, b"1, 2")
    assert (head.encapsulated.request, head.encapsulated.answer, head.encapsulated.size) == ((0, 10), (10, 30), 30)
    assert head.encapsulated.body
    assert not read_head(b"ICAP/1.0 204 No Content\r\n").encapsulated.body
    assert read_head(b"ICAP/1.0 204 No Content\r\nEncapsulated: null-body=0\r\n").keep_alive


@pytest.mark.parametrize(
    "places",
    ["", "res-hdr", "res-hdr=0", "res-hdr=1, null-body=2", "res-hdr=0, res-hdr=5, null-body=9", "null-body=0, res-hdr=9",
     "res-hdr=0, null-body=-1", "res-hdr=0, null-body=99999999", "res-hdr=0, null-body=900000", "res-body=0, null-body=1",
     "x-hdr=0, null-body=2"],
)  # fmt: skip
def test_places_are_not(places: str) -> None:
    """What makes no sense is no verdict."""
    with pytest.raises(BadIcapAnswer):
        read_head(f"ICAP/1.0 200 OK\r\nEncapsulated: {places}\r\n".encode())


_OK = b"ICAP/1.0 200 OK\r\n"


@pytest.mark.parametrize("raw", [b"HTTP/1.1 200 OK", b"ICAP/1.0 20 OK", _OK + b"no field", _OK + b": x", b""])
def test_what_is_no_head(raw: bytes) -> None:
    """Another protocol, broken lines."""
    with pytest.raises(BadIcapAnswer):
        read_head(raw)


def test_where_a_head_ends() -> None:
    """At its empty line; not later than can be kept."""
    assert end_of_head(b"ICAP/1.0 204 x\r\n\r\nmore") == 18
    assert end_of_head(b"ICAP/1.0 204 x\n\nmore", 15) == 16
    assert end_of_head(b"ICAP/1.0 204 x\r\n\r") == -1
    with pytest.raises(BadIcapAnswer):
        end_of_head(b"a" * (MAX_HEAD + 1))


def test_options() -> None:
    """Preview up to ours, methods, how long they hold; a server that knows no OPTIONS is asked without a preview."""
    said = read_options(read_head(b"ICAP/1.0 200 OK\r\nMethods: RESPMOD, reqmod\r\nPreview: 9999\r\nOptions-TTL: 60\r\n"), 1024)
    assert (said.preview, said.ttl) == (1024, 60.0)
    assert said.allows(b"REQMOD")
    assert not read_options(read_head(b"ICAP/1.0 200 OK\r\nMethods: REQMOD\r\n"), 1).allows(b"RESPMOD")
    odd = read_options(read_head(b"ICAP/1.0 200 OK\r\nPreview: many\r\nOptions-TTL: 0\r\n"), 1024)
    assert (odd.preview, odd.ttl, odd.allows(b"RESPMOD")) == (-1, 5.0, True)
    assert read_options(read_head(b"ICAP/1.0 405 No\r\n"), 1024) is NO_OPTIONS
    with pytest.raises(BadIcapAnswer, match="is there such a service"):
        read_options(read_head(b"ICAP/1.0 404 No\r\n"), 1024)
