"""Kinds of failed handshakes."""

from __future__ import annotations

import pytest

from lbproxy.balance.ledger import Scalar
from lbproxy.errors import ConnectionLost, HandshakeFailed, StreamError, TimedOut
from lbproxy.worker.accept.handshakes import kind_of


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (TimedOut(), Scalar.HANDSHAKE_TIMEOUT),
        (ConnectionLost("closed during the handshake"), Scalar.HANDSHAKE_LOST),
        (HandshakeFailed("plain_http"), Scalar.HANDSHAKE_NOT_TLS),
        (HandshakeFailed("peer_did_not_return_a_certificate"), Scalar.HANDSHAKE_NO_CERTIFICATE),
        (HandshakeFailed("certificate_verify_failed"), Scalar.HANDSHAKE_CERTIFICATE),
        (HandshakeFailed("no_shared_cipher"), Scalar.HANDSHAKE_PROTOCOL),
        (HandshakeFailed("tlsv1_alert_unknown_ca"), Scalar.HANDSHAKE_REFUSED),
        (HandshakeFailed("internal_error"), None),
    ],
)
def test_kinds(error: StreamError, kind: Scalar | None) -> None:
    """Each for its own cause; what is rare is counted in the sum alone."""
    assert kind_of(error, str(error)) is kind
