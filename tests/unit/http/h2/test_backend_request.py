"""Requests to backends of HTTP/2: what becomes of a head that was laid out for HTTP/1."""

from __future__ import annotations

import pytest

from lbproxy.http.h2.backend_request import BackendRequests, laid_out
from lbproxy.http.h2.engine import H2Engine
from tests.support import h2_frames as wire
from tests.unit.http.h2.dialogue import Dialogue, Heard

KEY = b"dGhlIHNhbXBsZSBub25jZQ=="
ACCEPT = b"s3pPLMBiTxaQ9kYGzzhZRbK+xOo="
"""The example of RFC 6455 1.3."""


def head(*lines: bytes, begin: bytes = b"GET /a HTTP/1.1", host: bytes = b"a.test") -> bytes:
    return b"\r\n".join((begin, b"Host: " + host, *lines)) + b"\r\n\r\n"


def test_pseudo_fields_come_first_and_names_are_small() -> None:
    """RFC 9113 8.2, 8.3: in lower case, :authority from Host, in the order in which they stood."""
    laid = laid_out(head(b"X-B: 1", b"Accept: */*", b"x-b:  2\t", begin=b"PUT /a?b HTTP/1.1"), b"https")
    assert laid.fields == (
        (b":method", b"PUT"), (b":scheme", b"https"), (b":path", b"/a?b"), (b":authority", b"a.test"),
        (b"x-b", b"1"), (b"accept", b"*/*"), (b"x-b", b"2"),
    )  # fmt: skip
    assert not laid.accept


@pytest.mark.parametrize(
    "line",
    [b"Connection: keep-alive", b"Keep-Alive: 1", b"Proxy-Connection: close", b"Transfer-Encoding: chunked", b"Upgrade: tcp",
     b"HTTP2-Settings: AAMAAABk", b"TE: deflate", b"TE: trailersx"],
)  # fmt: skip
def test_nothing_of_a_connection(line: bytes) -> None:
    """RFC 9113 8.2.2: with any of them the backend would have to refuse the request."""
    assert len(laid_out(head(line), b"http").fields) == 4


@pytest.mark.parametrize("value", [b"trailers", b"Trailers", b"deflate, trailers ", b"trailers;q=1, trailers"])
def test_te_says_trailers_and_nothing_else(value: bytes) -> None:
    assert laid_out(head(b"TE: " + value), b"http").fields[-1] == (b"te", b"trailers")


def test_a_request_without_a_host() -> None:
    """An empty one is no :authority."""
    assert b":authority" not in dict(laid_out(head(host=b""), b"http").fields)


@pytest.mark.parametrize(("line", "indexed"), [
    (b"grpc-timeout: 1S", False), (b"Grpc-Timeout: 1x", False), (b"grpc-previous-rpc-attempts: x", False), (b"k-bin: !", False),
    (b"grpc-trace-bin: AAAA", False), (b"grpc-encoding: foo", False), (b"grpc-encoding: gzip", True),
    (b"grpc-accept-encoding: identity, gzip", True), (b"x-grpc-web: 1", True), (b"k-bins: a", True),
])  # fmt: skip
def test_what_grpc_reads_stays_out_of_the_table(line: bytes, indexed: bool) -> None:
    """Servers by C-core refuse every call that refers to an entry which they could not read, whoever has sent that."""
    assert (type(laid_out(head(line), b"http").fields[-1]) is tuple) == indexed


def test_secrets_stay_out_of_the_table() -> None:
    """A connection is shared by clients: what one says must not shorten the frames of another (RFC 7541 7.1)."""
    heard = Heard()
    client, server = Dialogue(server=False), H2Engine(heard, server=True)
    lines = (b"Cookie: " + b"session=0123456789abcdefghijklmnop", b"Authorization: Bearer abc", b"X-Other: " + b"y" * 40)
    sizes = []
    for _ in range(2):
        client.engine.request(laid_out(head(*lines), b"https").fields, True)
        sizes.append(sum(len(frame.payload) for frame in client.answer() if frame.kind == wire.HEADERS))
    assert sizes[0] > sizes[1] > len(lines[0])
    assert server.failure is None


@pytest.mark.parametrize("protocol", [b"websocket", b"WebSocket"])
def test_a_websocket(protocol: bytes) -> None:
    """RFC 8441 5.1: CONNECT with a protocol, without a key, whose digest our own client will want."""
    lines = (b"Sec-WebSocket-Version: 13", b"Sec-WebSocket-Key: " + KEY, b"Connection: Upgrade", b"Upgrade: " + protocol)
    laid = laid_out(head(*lines), b"https")
    assert laid.fields == (
        (b":method", b"CONNECT"), (b":protocol", b"websocket"), (b":scheme", b"https"), (b":path", b"/a"),
        (b":authority", b"a.test"), (b"sec-websocket-version", b"13"),
    )  # fmt: skip
    assert laid.accept == ACCEPT


def test_no_websocket_without_a_sound_key() -> None:
    """A rule may write anything into a head."""
    laid = laid_out(head(b"Upgrade: websocket", b"Sec-WebSocket-Key: x"), b"https")
    assert laid.fields[0] == (b":method", b"GET")
    assert not laid.accept


def test_the_same_head_is_the_same_object() -> None:
    """And those of the two schemes are not mixed up."""
    requests = BackendRequests()
    assert requests.of(head(), b"http") is requests.of(head(), b"http")
    assert requests.of(head(), b"https").fields[1] == (b":scheme", b"https")


def test_long_heads_are_not_remembered() -> None:
    requests = BackendRequests()
    long = head(b"A: " + b"x" * 5000)
    assert requests.of(long, b"http") is not requests.of(long, b"http")
