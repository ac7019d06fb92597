"""Alerts in place of a handshake."""

from __future__ import annotations

import ssl

import pytest

from lbproxy.prelude.alert import DECODE_ERROR, INTERNAL_ERROR, UNRECOGNIZED_NAME, fatal


@pytest.mark.parametrize(("description", "reason"), [
    (INTERNAL_ERROR, "TLSV1_ALERT_INTERNAL_ERROR"),
    (UNRECOGNIZED_NAME, "TLSV1_UNRECOGNIZED_NAME"),
    (DECODE_ERROR, "TLSV1_ALERT_DECODE_ERROR"),
])  # fmt: skip
@pytest.mark.parametrize("version", [ssl.TLSVersion.TLSv1_2, ssl.TLSVersion.TLSv1_3])
def test_openssl_takes_it_for_an_answer(description: int, reason: str, version: ssl.TLSVersion) -> None:
    """Whatever it speaks."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    context.minimum_version = context.maximum_version = version
    incoming = ssl.MemoryBIO()
    client = context.wrap_bio(incoming, ssl.MemoryBIO(), server_hostname="db.test")
    with pytest.raises(ssl.SSLWantReadError):
        client.do_handshake()
    incoming.write(fatal(description))
    with pytest.raises(ssl.SSLError) as refused:
        client.do_handshake()
    assert refused.value.reason == reason
