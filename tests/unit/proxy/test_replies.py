"""Responses of our own read as any other response, and say why."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

import lbproxy
from lbproxy.http.forwarding import Forwarder
from lbproxy.http.h1.request import parse_request
from lbproxy.http.h1.response import parse_response
from lbproxy.proxy import replies
from lbproxy.proxy.replies import https_location, laid_out, redirect, reply
from tests.corpus.http1.vectors import vectors
from tests.unit.http.heads import values

STATUSES = (400, 404, 405, 408, 413, 414, 417, 421, 429, 431, 500, 502, 503, 504, 505, 508)


def split(whole: bytes) -> tuple[bytes, bytes]:
    """(head, body)"""
    end = whole.index(b"\r\n\r\n") + 4
    return whole[:end], whole[end:]


@pytest.mark.parametrize("status", STATUSES)
@pytest.mark.parametrize("close", [False, True])
@pytest.mark.parametrize("body", [False, True])
def test_reply(status: int, close: bool, body: bool) -> None:
    """Status, length, connection and reason; HEAD gets the length without the body."""
    head, payload = split(reply(status, "some_reason", close=close, body=body, extra=b"\r\nX-Extra: 1"))
    parsed = parse_response(head, b"GET", 100)
    assert (parsed.status, parsed.keep_alive) == (status, not close)
    assert (len(payload) == parsed.body) if body else payload == b""
    assert not body or payload.startswith(b"%d " % status)
    assert b"some_reason" in head
    assert values(head, "x-extra") == [b"1"]
    assert values(head, "retry-after") == ([b"1"] if status == 503 else [])
    assert len(values(head, "allow")) == (1 if status == 405 else 0)
    assert values(head, "connection") == ([b"close"] if close else [])
    assert values(head, "cache-control") == [b"no-store"]
    assert values(head, "via") == [b"1.1 lbproxy"]


RFC_9209_TYPES = {
    "dns_timeout", "dns_error", "destination_not_found", "destination_unavailable", "destination_ip_prohibited",
    "destination_ip_unroutable", "connection_refused", "connection_terminated", "connection_timeout", "connection_read_timeout",
    "connection_write_timeout", "connection_limit_reached", "tls_protocol_error", "tls_certificate_error", "tls_alert_received",
    "http_request_error", "http_request_denied", "http_response_incomplete", "http_response_header_section_size",
    "http_response_header_size", "http_response_body_size", "http_response_trailer_section_size", "http_response_trailer_size",
    "http_response_transfer_coding", "http_response_content_coding", "http_response_timeout", "http_upgrade_failed",
    "http_protocol_error", "proxy_internal_response", "proxy_internal_error", "proxy_configuration_error", "proxy_loop_detected",
}  # fmt: skip


def test_proxy_status() -> None:
    """RFC 9209 2.3: the error is one of its types, ours stands in the details."""
    assert set(replies._RFC_9209.values()) <= RFC_9209_TYPES
    for status, reason in [(502, "connection_refused"), (400, "bare_lf"), (502, "response_made_up"), (503, "no_backend")]:
        [told] = values(split(reply(status, reason, close=True))[0], "proxy-status")
        match = re.fullmatch(rb'lbproxy; error=([a-z_]+); details="([a-z_]+)"', told)
        assert match is not None
        assert match[1].decode() in RFC_9209_TYPES
        assert match[2].decode() == reason


def reasons() -> set[str]:
    """Every reason that the package raises by name."""
    found = set()
    for path in Path(lbproxy.__file__).parent.rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id in ("RequestError", "UpstreamError"):
                found |= {word.value for word in node.args[1:2] if isinstance(word, ast.Constant) and isinstance(word.value, str)}
    return found


def test_reasons_are_plain_words() -> None:
    """They stand unquoted and unescaped in a header, a body and the access log: nothing of the wire is ever part of one."""
    found = reasons() | {vector.expected["reason"] for vector in vectors("reject")}
    assert len(found) > 40
    assert not [reason for reason in found if not re.fullmatch(r"[a-z0-9_]{3,40}", reason)]


@pytest.mark.parametrize("close", [False, True])
@pytest.mark.parametrize("body", [False, True])
def test_redirect(close: bool, body: bool) -> None:
    """308, where to, and the connection's fate."""
    head, payload = split(laid_out(redirect(b"https://example.com/a?b"), close=close, body=body, extra=b"\r\nX-Extra: 1"))
    parsed = parse_response(head, b"GET", 100)
    assert (parsed.status, parsed.keep_alive) == (308, not close)
    assert (len(payload) == parsed.body) if body else payload == b""
    assert values(head, "location") == [b"https://example.com/a?b"]
    assert values(head, "x-extra") == [b"1"]


def test_nothing_is_injected() -> None:
    """Whatever request is accepted, its host and target in a Location leave one well-formed response with one Location."""
    for vector in vectors("accept"):
        raw = vector.raw.lstrip(b"\r\n")
        request = parse_request(raw[: raw.index(b"\r\n\r\n") + 4], 8192, 100)
        location = b"https://" + request.host + request.target
        head, _ = split(laid_out(redirect(location), close=True))
        assert parse_response(head, b"GET", 10).status == 308
        assert values(head, "location") == [location]
        forwarded = values(Forwarder("192.0.2.9", "https", 443, ()).request(request), "forwarded")
        assert forwarded == [b'for=192.0.2.9;proto=https;host="%b"' % (request.authority or b"localhost")]
        assert re.fullmatch(rb"[a-z0-9._:\[\]-]*", request.authority)


@pytest.mark.parametrize(("line", "host", "ours", "wanted", "expected"), [
    (b"GET /a?b HTTP/1.1", b"example.com", 80, 0, b"https://example.com/a?b"),
    (b"GET / HTTP/1.1", b"example.com", 8080, 0, b"https://example.com/"),  # published under another port than ours: so is TLS
    (b"GET / HTTP/1.1", b"example.com:9999", 8080, 0, b"https://example.com/"),
    (b"GET / HTTP/1.1", b"example.com:8080", 8080, 0, b"https://example.com:8443/"),  # reached as we listen: so is TLS
    (b"GET / HTTP/1.1", b"example.com:80", 80, 0, b"https://example.com/"),
    (b"GET / HTTP/1.1", b"example.com:8080", 8080, 444, b"https://example.com:444/"),
    (b"GET / HTTP/1.1", b"example.com", 80, 443, b"https://example.com/"),
    (b"GET / HTTP/1.1", b"[::1]:8080", 8080, 0, b"https://[::1]:8443/"),
    (b"OPTIONS * HTTP/1.1", b"example.com:80", 80, 0, b"https://example.com/"),
    (b"GET /x HTTP/1.0", b"", 80, 0, b"https://192.0.2.80/x"),
])  # fmt: skip
def test_the_same_place_on_https(line: bytes, host: bytes, ours: int, wanted: int, expected: bytes) -> None:
    """On the port that the configuration names, else where the client will find it; "*" is no place."""
    head = parse_request(line + (b"\r\nHost: " + host if host else b"") + b"\r\n\r\n", 8192, 100)
    forwarder = Forwarder("192.0.2.9", "http", ours, (), here=lambda: "192.0.2.80")
    assert https_location(head, forwarder, wanted, 8443) == expected
