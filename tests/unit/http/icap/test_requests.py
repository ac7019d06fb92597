"""What is said to ICAP servers: places of what is encapsulated, previews, chunks."""

from __future__ import annotations

from lbproxy.http.icap.requests import IEOF, LAST, EncapsulatedHeads, IcapService, ask, chunk, options

SERVICE = IcapService(b"av.test:1344", b"/scan?mode=simple")


def test_a_request_without_a_body() -> None:
    """RFC 3507 4.8.1."""
    head = b"GET / HTTP/1.1\r\nHost: a\r\n\r\n"
    said = ask(SERVICE, EncapsulatedHeads(head), body=False, preview=10)
    assert said.startswith(b"REQMOD icap://av.test:1344/scan?mode=simple ICAP/1.0\r\nHost: av.test:1344\r\n")
    assert said.endswith(b"\r\nAllow: 204\r\nEncapsulated: req-hdr=0, null-body=%d\r\n\r\n%b" % (len(head), head))


def test_an_answer_with_a_preview() -> None:
    """RFC 3507 4.9.1: both heads, and where each begins."""
    heads = EncapsulatedHeads(b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n")
    said = ask(SERVICE, heads, body=True, preview=0, lines=b"\r\nX-Client-IP: ::1")
    assert said.startswith(b"RESPMOD ")
    assert b"\r\nPreview: 0\r\nX-Client-IP: ::1\r\nEncapsulated: req-hdr=0, res-hdr=18, res-body=37\r\n\r\nGET" in said
    assert b"Preview" not in ask(SERVICE, heads, body=True)


def test_the_rest() -> None:
    """OPTIONS, chunks; an empty piece is no end."""
    assert options(SERVICE).endswith(b"\r\nEncapsulated: null-body=0\r\n\r\n")
    assert chunk(b"") == b""
    assert chunk(b"a" * 26) + LAST == b"1a\r\n" + b"a" * 26 + b"\r\n0\r\n\r\n"
    assert IEOF == b"0; ieof\r\n\r\n"
