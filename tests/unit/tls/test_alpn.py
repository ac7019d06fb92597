"""Who offers nothing that is spoken here is refused."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from lbproxy.config.model import Address, ListenConfig
from lbproxy.net.wire import alpn_choice
from lbproxy.tls.alpn import Native, chosen, insist, wire_form
from lbproxy.tls.showcase import server_context
from tests.unit.tls.files import pair
from tests.unit.tls.wire import connect

FORMS = pytest.mark.parametrize("native", [None, alpn_choice], ids=["python", "c"])
"""By Python, and by C where that is compiled."""


def client(*protocols: str) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.check_hostname = False
    context.verify_mode = ssl.CERT_NONE
    if protocols:
        context.set_alpn_protocols(list(protocols))
    return context


@pytest.fixture
def server(tmp_path: Path) -> ssl.SSLContext:
    return server_context(ListenConfig(Address("127.0.0.1", 0), (pair(tmp_path, "a.test"),)))


@FORMS
@pytest.mark.parametrize(("spoken", "offered", "agreed"), [
    (("h2", "http/1.1"), ("http/1.1", "h2"), "h2"), (("http/1.1", "h2"), ("h2", "http/1.1"), "http/1.1"),
    (("http/1.1",), ("h2", "http/1.1"), "http/1.1"), (("h2", "http/1.1"), (), None), (("h2",), (), None),
    (("h2", "http/1.1"), ("http/1.0",), "http/1.0"), (("h2", "http/1.1"), ("imap", "http/1.1"), "http/1.1"),
])  # fmt: skip
def test_what_both_speak(
    server: ssl.SSLContext, native: Native | None, spoken: tuple[str, ...], offered: tuple[str, ...], agreed: str | None
) -> None:
    """The first of ours that the client has; who offers nothing is served."""
    assert insist(server, spoken, native)
    assert connect(client(*offered), server, "a.test").client.selected_alpn_protocol() == agreed


@FORMS
@pytest.mark.parametrize(("spoken", "offered"), [
    (("h2", "http/1.1"), ("imap",)), (("h2",), ("http/1.1",)), (("h2",), ("http/1.0",)), (("http/1.1",), ("h2", "http/1")),
])  # fmt: skip
def test_nothing_in_common_is_alert_120(
    server: ssl.SSLContext, native: Native | None, spoken: tuple[str, ...], offered: tuple[str, ...]
) -> None:
    """RFC 7301 3.2."""
    assert insist(server, spoken, native)
    up, down = ssl.MemoryBIO(), ssl.MemoryBIO()
    with pytest.raises(ssl.SSLWantReadError):
        client(*offered).wrap_bio(down, up, server_hostname="a.test").do_handshake()
    with pytest.raises(ssl.SSLError, match=r"(?i)no.application.protocol"):
        server.wrap_bio(up, down, server_side=True).do_handshake()
    assert down.read() == bytes.fromhex("15 0303 0002 02 78")


def test_the_choice() -> None:
    """Where the first of ours stands in what is offered."""
    assert chosen(wire_form(["h2"]), wire_form(["a", "h2"])) == (3, 2)
    assert chosen(wire_form(["h2"]), b"") is None
    assert wire_form(["http/1.1"]) == b"\x08http/1.1\x08http/1.0"
