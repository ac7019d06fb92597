"""Heads of requests whose bodies were received first."""

from __future__ import annotations

import pytest

from lbproxy.http.forwarding import Forwarder
from lbproxy.http.h1.request import LastFields, parse_request
from lbproxy.http.message import CHUNKED
from lbproxy.http.taken_in import taken_in


def forwarded(lines: bytes, length: int) -> bytes:
    head = parse_request(b"POST / HTTP/1.1\r\nHost: h\r\n" + lines + b"\r\n", 8192, 100, LastFields())
    return Forwarder("192.0.2.1", "https", 443, ()).request(taken_in(head, length)).lower()


@pytest.mark.parametrize("more", [b"", b"Trailer: X-Sum\r\n", b"X_y: z\r\n", b"Expect: 100-continue\r\n"])
def test_a_chunked_body_has_a_length_when_it_is_here(more: bytes) -> None:
    sent = forwarded(b"Transfer-Encoding: chunked\r\nAccept: */*\r\n" + more, 17)
    assert sent.count(b"\r\ncontent-length: 17\r\n") == 1
    for gone in (b"transfer-encoding", b"expect", b"trailer"):
        assert gone not in sent
    assert b"\r\naccept: */*\r\n" in sent


def test_a_chunked_body_of_which_more_is_to_come_stays_so() -> None:
    sent = forwarded(b"Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n", CHUNKED)
    assert sent.count(b"\r\ntransfer-encoding: chunked\r\n") == 1
    assert b"content-length" not in sent
    assert b"expect" not in sent


def test_a_known_length_stays() -> None:
    sent = forwarded(b"Content-Length: 17\r\nExpect: 100-continue\r\n", 17)
    assert sent.count(b"\r\ncontent-length: 17\r\n") == 1
    assert b"expect" not in sent


def test_nothing_to_change_changes_nothing() -> None:
    head = parse_request(b"POST / HTTP/1.1\r\nHost: h\r\nContent-Length: 1\r\n\r\n", 8192, 100, LastFields())
    assert taken_in(head, 1) is head
