"""Failures of handshakes, sorted into a few kinds to count: what an operator can do something about, and what the world does."""

from __future__ import annotations

import ssl

from lbproxy.balance.ledger import Scalar
from lbproxy.errors import ConnectionLost, StreamError, TimedOut
from lbproxy.net.tls_failures import VERIFY_FAILED, tls_failure

_KINDS = {
    Scalar.HANDSHAKE_NOT_TLS: ("plain_http", "not_tls", "http_request", "https_proxy_request"),
    Scalar.HANDSHAKE_CERTIFICATE: ("certificate_verify_failed", "bad_signature"),
    Scalar.HANDSHAKE_NO_CERTIFICATE: ("peer_did_not_return_a_certificate", "no_certificate_returned"),
    Scalar.HANDSHAKE_PROTOCOL: (
        "no_shared_cipher",
        "unsupported_protocol",
        "unknown_protocol",
        "wrong_version_number",
        "version_too_low",
        "no_protocols_available",
        "no_application_protocol",
        "no_suitable_key_share",
        "no_suitable_groups",
        "no_suitable_signature_algorithm",
        "no_shared_signature_algorithms",
        "inappropriate_fallback",
    ),
}
_BY_REASON = {reason: kind for kind, reasons in _KINDS.items() for reason in reasons}


def kind_of(error: StreamError, reason: str) -> Scalar | None:
    """What to count it as; None: nothing of its own. `reason`: OpenSSL's short word, or ours."""
    if isinstance(error, TimedOut):
        return Scalar.HANDSHAKE_TIMEOUT
    if isinstance(error, ConnectionLost):
        return Scalar.HANDSHAKE_LOST
    if "_alert_" in reason:  # "tlsv1_alert_unknown_ca": the client did not like what it was shown
        return Scalar.HANDSHAKE_REFUSED
    return _BY_REASON.get(reason)


def why(error: StreamError) -> dict[str, str]:
    """For the log, what is wrong with the certificate that a client has shown; {}: that is not what it failed by."""
    cause = error.__cause__
    if not isinstance(cause, ssl.SSLError) or cause.reason != VERIFY_FAILED:
        return {}
    return {"why": tls_failure(cause).words}
