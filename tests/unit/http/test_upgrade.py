"""Switching protocols: what a backend may be asked for, and which 101 opens a tunnel. The corpus has more requests (upgrade-*)."""

from __future__ import annotations

import hashlib
from base64 import b64encode

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.http.forwarding import Forwarder
from lbproxy.http.h1.request import LastFields, parse_request
from lbproxy.http.message import RequestHead, ResponseHead
from lbproxy.http.upgrade import asked, fault, upgrade_lines
from tests.unit.http.heads import MAX_FIELDS, MAX_LINE, request, response, values

KEY = b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = b"Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo="  # both from RFC 6455 1.3
UP = b"Connection: Upgrade"
SWITCH = b"HTTP/1.1 101 Switching Protocols"


def websocket(*lines: bytes) -> RequestHead:
    """A handshake."""
    return request(UP, b"Upgrade: websocket", KEY, *lines)


def switched(*lines: bytes, line: bytes = SWITCH) -> ResponseHead:
    """A backend's 101."""
    return response(*lines, line=line)


def forwarded(head: RequestHead) -> bytes:
    """What a backend gets."""
    return Forwarder("192.0.2.9", "https", 443, ()).request(head)


# ---------------------------------------------------------------- what is asked


def test_a_handshake_is_forwarded() -> None:
    """Theirs off, ours on: one Connection that says Upgrade alone, one Upgrade in their spelling; the rest of it as it came."""
    head = request(b"Connection: keep-alive, X-Private, Upgrade", b"upgrade:  WebSocket \t", KEY, b"X-Private: 1", b"Keep-Alive: 5")
    assert asked(head)
    assert not head.keep_alive, "an answer that refuses is the last one"
    out = forwarded(head)
    assert values(out, "connection") == [b"Upgrade"]
    assert values(out, "upgrade") == [b"WebSocket"]
    assert values(out, "sec-websocket-key") == [KEY.partition(b": ")[2]]
    assert not values(out, "x-private") + values(out, "keep-alive")


@pytest.mark.parametrize("method", [b"HEAD", b"OPTIONS", b"PUT", b"GETS", b"POSTS"])
def test_only_get_and_post_ask(method: bytes) -> None:
    head = request(UP, b"Upgrade: foo", line=method + b" / HTTP/1.1")
    assert not asked(head)
    assert b"pgrade" not in forwarded(head)


@pytest.mark.parametrize("protocol", [b"tcp", b"SPDY/3.1"])  # Docker's attach; Kubernetes' exec and port-forward
@pytest.mark.parametrize("lines", [[], [b"Content-Length: 0"], [b"Content-Length: 65536"]])
def test_a_post_may_ask(protocol: bytes, lines: list[bytes]) -> None:
    head = request(UP, b"Upgrade: " + protocol, *lines, line=b"POST /exec HTTP/1.1")
    assert asked(head)
    out = forwarded(head)
    assert (values(out, "connection"), values(out, "upgrade")) == ([b"Upgrade"], [protocol])
    assert fault(head, switched(UP, b"Upgrade: " + protocol)) == ""
    assert fault(head, switched(UP, b"Upgrade: h2c")) == "response_other_101"


@pytest.mark.parametrize(("line", "lines"), [
    (b"POST", [b"Upgrade: websocket", KEY]),  # RFC 6455 4.1: a handshake is a GET
    (b"POST", [b"Upgrade: tcp", b"Transfer-Encoding: chunked"]),
    (b"POST", [b"Upgrade: tcp", b"Content-Length: 65537"]),
    (b"POST", [b"Upgrade: websocket", KEY, b"Content-Length: 5"]),
    (b"POST", [b"Upgrade: h2c", b"Content-Length: 5"]),
    (b"PUT", [b"Upgrade: tcp", b"Content-Length: 5"]),
    (b"GET", [b"Upgrade: websocket", KEY, b"Content-Length: 5"]),
    (b"POST", [b"Upgrade: h2c"]),
    (b"GET", [b"Upgrade: tcp", b"Content-Length: 5"]),
])  # fmt: skip
def test_who_may_not_ask(line: bytes, lines: list[bytes]) -> None:
    head = request(UP, *lines, line=line + b" / HTTP/1.1")
    assert not asked(head)
    out = forwarded(head)
    assert not values(out, "upgrade") + values(out, "connection")


def test_a_method_is_not_remembered_with_the_fields() -> None:
    """The same fields behind another method, on one connection: the memory of fields says the same as no memory."""
    forwarder, last = Forwarder("192.0.2.9", "https", 443, ()), LastFields()
    for method in (b"PUT", b"GET", b"GET", b"PUT", b"GET"):
        raw = method + b" / HTTP/1.1\r\nHost: a\r\nConnection: Upgrade\r\nUpgrade: foo\r\n\r\n"
        head = parse_request(raw, MAX_LINE, MAX_FIELDS, last)
        assert asked(head) is (method == b"GET")
        assert values(forwarder.request(head), "upgrade") == ([b"foo"] if method == b"GET" else [])


@pytest.mark.parametrize("protocol", [b"h2c", b"H2C", b"h2", b"h2c-14", b"h3", b"HTTP/2.0", b"http", b"https", b"TLS/1.0", b"tls"])
def test_h2c_smuggling(protocol: bytes) -> None:
    """No tunnel for HTTP/2 or TLS, by whatever name, with and without settings: the request goes on as plain HTTP."""
    for more in ([], [b"HTTP2-Settings: AAMAAABkAAQAAP__"]):
        head = request(b"Connection: Upgrade, HTTP2-Settings", b"Upgrade: " + protocol, *more)
        assert not asked(head)
        assert head.keep_alive
        out = forwarded(head)
        assert not values(out, "upgrade") + values(out, "connection") + values(out, "http2-settings")


BESIDE = st.sampled_from([b"Content-Length: 0", b"Connection: close", b"HTTP2-Settings: a", b"Upgrade: b"])
NAMES = st.text("abHh2cTLSp/.-1,; ", max_size=12).map(str.encode)


@given(NAMES, st.lists(BESIDE, max_size=2))
def test_what_reaches_a_backend_is_one_protocol(name: bytes, more: list[bytes]) -> None:
    """Whatever is asked for: none, or one token (with a version) that is no HTTP."""
    head = request(UP, b"Upgrade: " + name, *dict.fromkeys(more))
    out = forwarded(head)
    if not asked(head):
        assert not values(out, "upgrade") + values(out, "connection")
        return
    assert values(out, "connection") == [b"Upgrade"]
    [protocol] = values(out, "upgrade")
    assert protocol == name.strip(b" ")
    assert not set(b",; ") & set(protocol)
    assert not protocol.lower().startswith((b"h2", b"http", b"tls"))
    assert set(more) <= {b"Content-Length: 0"}


# ---------------------------------------------------------------- what is granted


def test_the_tunnel_opens() -> None:
    """Whatever the spelling of names."""
    head = websocket()
    assert fault(head, switched(b"connection: upgrade", b"upgrade: WebSocket", ACCEPT)) == ""
    assert fault(head, switched(b"Connection: keep-alive, Upgrade ", b"Upgrade: websocket", ACCEPT + b" \t")) == ""
    assert fault(request(UP, b"Upgrade: Foo/1"), switched(UP, b"Upgrade: foo/1")) == ""


def test_a_101_that_nobody_asked_for() -> None:
    answer = switched(UP, b"Upgrade: websocket", ACCEPT)
    for head in (
        request(),
        request(b"Upgrade: websocket", KEY),
        request(UP, b"Upgrade: websocket", KEY, line=b"POST / HTTP/1.1"),
        request(UP, b"Upgrade: websocket", KEY, b"Content-Length: 1"),
        request(UP, b"Upgrade: websocket", KEY, b"Upgrade: websocket"),
        request(UP, b"Upgrade: websocket", KEY, line=b"GET / HTTP/1.0"),
        request(UP, b"Upgrade: websocket"),
    ):
        assert fault(head, answer) == "response_unexpected_101"


@pytest.mark.parametrize("lines", [
    [],
    [b"Upgrade: websocket", ACCEPT],
    [UP, ACCEPT],
    [b"Connection: upgrades", b"Upgrade: websocket", ACCEPT],
    [UP, b"Upgrade: h2c", ACCEPT],
    [UP, b"Upgrade: websocket, h2c", ACCEPT],
    [UP, b"Upgrade: websocket", b"Upgrade: websocket", ACCEPT],
    [UP, b"Upgrade: websocket/13", ACCEPT],
    [UP, b"Upgrade:", b"Upgrade: websocket", ACCEPT],
])  # fmt: skip
def test_a_fake_101(lines: list[bytes]) -> None:
    """A status line that a backend fetched elsewhere on the client's request, or a switch to something else, is no switch."""
    assert fault(websocket(), switched(*lines)) == "response_other_101"


def test_a_101_of_an_old_version() -> None:
    """1.0 knows no 1xx."""
    assert fault(websocket(), switched(UP, b"Upgrade: websocket", ACCEPT, line=b"HTTP/1.0 101 OK")) == "response_other_101"


@pytest.mark.parametrize("accept", [
    [], [b"Sec-WebSocket-Accept:"], [ACCEPT.swapcase()], [ACCEPT, ACCEPT], [ACCEPT + b"x"], [KEY.replace(b"Key", b"Accept")],
])  # fmt: skip
def test_a_101_without_the_digest_of_the_key(accept: list[bytes]) -> None:
    """Echoed fields of the request, or an answer to somebody else's handshake: the client would not look, so we do."""
    assert fault(websocket(), switched(UP, b"Upgrade: websocket", *accept)) == "response_forged_101"


@given(st.binary(min_size=16, max_size=16))
def test_any_key(nonce: bytes) -> None:
    key = b64encode(nonce)
    accept = b64encode(hashlib.sha1(key + b"258EAFA5-E914-47DA-95CA-C5AB0DC85B11").digest())
    head = request(UP, b"Upgrade: websocket", b"sec-websocket-KEY:\t" + key + b" ")
    assert fault(head, switched(UP, b"Upgrade: websocket", b"Sec-WebSocket-Accept: " + accept)) == ""


def test_upgrade_lines() -> None:
    assert upgrade_lines(b"\r\nA: b\r\nUPGRADE: Foo/1 \t\r\nC: d") == b"\r\nConnection: Upgrade\r\nUpgrade: Foo/1"
