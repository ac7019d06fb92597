"""Kinds of failed handshakes."""

from __future__ import annotations

import ssl

import pytest

from lbproxy.balance.ledger import Scalar
from lbproxy.errors import ConnectionLost, HandshakeFailed, StreamError, TimedOut
from lbproxy.worker.accept.handshakes import kind_of, why


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


def test_what_is_wrong_with_a_client_s_certificate_is_told() -> None:
    """In words, as of a backend's; nothing where it failed by something else."""

    def failed(reason: str, number: int) -> HandshakeFailed:
        cause = ssl.SSLError(1, reason)
        cause.reason = reason
        cause.verify_code = number  # type: ignore[attr-defined]
        error = HandshakeFailed(reason.lower())
        error.__cause__ = cause
        return error

    assert why(failed("CERTIFICATE_VERIFY_FAILED", 23)) == {"why": "its certificate was revoked"}
    assert why(failed("CERTIFICATE_VERIFY_FAILED", 10)) == {"why": "its certificate, or one above it, has expired"}
    assert why(failed("NO_SHARED_CIPHER", 0)) == {}
    assert why(TimedOut("late")) == {}
