"""A message that two parsers could read in two ways is refused with 400, and not one byte of it reaches a backend."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.conftest import Stage
from tests.support.backends import Conversation, Scripted
from tests.support.process import LbProxy

HEAD = b"POST / HTTP/1.1\r\nHost: localhost\r\n"
ATTACKS = {
    "CL.TE": HEAD + b"Content-Length: 6\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\nG",
    "two lengths": HEAD + b"Content-Length: 0\r\nContent-Length: 30\r\n\r\nGET /x HTTP/1.1\r\nHost: a\r\n\r\n",
    "list of lengths": HEAD + b"Content-Length: 3, 3\r\n\r\nabc",
    "signed length": HEAD + b"Content-Length: +3\r\n\r\nabc",
    "unknown coding": HEAD + b"Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n",
    "coding twice": HEAD + b"Transfer-Encoding: chunked\r\nTransfer-Encoding: identity\r\n\r\n0\r\n\r\n",
    "space before colon": HEAD + b"Transfer-Encoding : chunked\r\n\r\n0\r\n\r\n",
    "folded": HEAD + b"Transfer-Encoding:\r\n chunked\r\n\r\n0\r\n\r\n",
    "bare LF": b"POST / HTTP/1.1\nHost: localhost\nContent-Length: 0\n\n",
    "bare CR": HEAD + b"X: a\rTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    "NUL": HEAD + b"X: a\x00b\r\n\r\n",
    "no host": b"GET / HTTP/1.1\r\n\r\n",
    "two hosts": b"GET / HTTP/1.1\r\nHost: a\r\nHost: b\r\n\r\n",
    "hosts disagree": b"GET http://a/ HTTP/1.1\r\nHost: b\r\n\r\n",
    "coding on 1.0": b"POST / HTTP/1.0\r\nHost: a\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
}


@pytest.fixture(scope="module")
def nothing() -> Iterator[Scripted]:
    """A backend that writes down whatever it hears."""

    def script(conversation: Conversation) -> None:
        conversation.wait_close()

    with Scripted(script) as backend:
        yield backend


def test_refused(stage: Stage, nothing: Scripted) -> None:
    """Each attack: one 400, the end of the connection, silence at the backend."""
    proxy = stage.proxy(nothing.address)
    for name, attack in ATTACKS.items():
        with stage.client(proxy) as client:
            client.send(attack)
            assert client.response("POST").status == 400, name
            assert client.ended(), name
            assert nothing.received() == [], name


BAD_CHUNKS = {
    "size": b"1g\r\na\r\n0\r\n\r\n",
    "sign": b"+1\r\na\r\n0\r\n\r\n",
    "prefix": b"0x1\r\na\r\n0\r\n\r\n",
    "too big": b"fffffffff\r\na\r\n0\r\n\r\n",
    "terminator": b"1\r\naX\r\n0\r\n\r\n",
    "LF in extension": b"1;a\nb\r\na\r\n0\r\n\r\n",
    "bare LF": b"1\na\n0\n\n",
}


@pytest.mark.parametrize("chunks", BAD_CHUNKS.values(), ids=BAD_CHUNKS.keys())
def test_bad_chunks(stage: Stage, proxy: LbProxy, chunks: bytes) -> None:
    """Ill-formed chunks end the request; the backend never gets a complete body."""
    with stage.client(proxy) as client:
        client.send(HEAD + b"Transfer-Encoding: chunked\r\n\r\n" + chunks)
        assert client.response("POST").status == 400
        assert client.ended()
    assert not [line for line in proxy.access() if line["status"] == 200]


def test_connect_is_refused(stage: Stage, proxy: LbProxy) -> None:
    """No tunnels for strangers."""
    client = stage.client(proxy)
    client.send(b"CONNECT example.com:443 HTTP/1.1\r\nHost: example.com:443\r\n\r\n")
    assert client.response().status == 405


@pytest.mark.parametrize(("request_head", "status"), [
    (b"GET /" + b"a" * 9000 + b" HTTP/1.1\r\nHost: a\r\n\r\n", 414),
    (b"GET / HTTP/1.1\r\nHost: a\r\nX: " + b"a" * 40_000 + b"\r\n\r\n", 431),
    (b"GET / HTTP/1.1\r\nHost: a\r\n" + b"X: a\r\n" * 101 + b"\r\n", 431),
])  # fmt: skip
def test_limits(stage: Stage, proxy: LbProxy, request_head: bytes, status: int) -> None:
    """Heads beyond the limits are told which one."""
    client = stage.client(proxy)
    client.send(request_head)
    assert client.response().status == status


@pytest.mark.parametrize("chunked", [False, True])
def test_body_limit(stage: Stage, chunked: bool) -> None:
    """limits.body: 413, whether the size was announced or found out."""
    client = stage.client(stage.proxy(stage.app().address, limits={"body": "10KiB"}))
    if chunked:
        client.send_head("POST", "/echo", [("Transfer-Encoding", "chunked")])
        client.send(b"2c00\r\n" + b"x" * 0x2C00 + b"\r\n")
    else:
        client.send_head("POST", "/echo", length=11 * 1024)
    assert client.response("POST").status == 413
