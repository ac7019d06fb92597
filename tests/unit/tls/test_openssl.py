"""OpenSSL's own objects inside Python's."""

from __future__ import annotations

import ssl
from pathlib import Path

from lbproxy.tls import openssl
from tests.unit.tls.handshakes import Issuer, Joined, serving


def test_contexts_and_sessions_are_found() -> None:
    """And what is none is not taken for one."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    assert openssl.context_of(context)
    made = context.wrap_bio(ssl.MemoryBIO(), ssl.MemoryBIO(), server_hostname="a.test")
    assert openssl.session_of(made._sslobj)  # type: ignore[attr-defined]
    assert openssl.session_of(made) == 0
    assert not openssl.ask_for(made, "a.test")


def test_the_name_that_was_asked_for(tmp_path: Path) -> None:
    """As the client wrote it; none where it asked for none."""
    issuer = Issuer(tmp_path)
    trusting = ssl.create_default_context(cafile=issuer.file)
    trusting.check_hostname = False
    for asked in ("Backend.test", ""):
        joined = Joined(trusting, serving(*issuer.issue("backend.test")), asked or None)
        joined.shake()
        assert openssl.asked_name(joined.server._sslobj) == asked  # type: ignore[attr-defined]
