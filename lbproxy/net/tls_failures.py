"""Failures of TLS towards backends, by names that say what to do about them, for log, answer and health checks.

OpenSSL says of a certificate that it does not like by a number (openssl/x509_vfy.h), and of everything else by a reason; what the
other side did not like comes as an alert (RFC 8446 6.2), which is a reason as well.
"""

from __future__ import annotations

import ssl
from typing import NamedTuple


class TlsFailure(NamedTuple):
    """What is wrong, for a program and for a person."""

    reason: str
    """As the access log and the answer have it."""
    words: str
    """For a person."""


_UNKNOWN = TlsFailure("tls_unknown_authority", "its certificate is signed by nobody who is trusted")
_UNSURE = TlsFailure("tls_revocation_unknown", "whether its certificate was revoked cannot be told")
_WEAK = TlsFailure("tls_unverified", "its certificate, or one above it, has a key or a signature that is too weak")
_OF_NO_AUTHORITY = TlsFailure("tls_unverified", "a certificate in its chain is no authority's, or may not sign one this far below")
_OUTSIDE = TlsFailure("tls_unverified", "its names are not those that an authority in its chain may sign for")
_BY_NUMBER = {
    2: _UNKNOWN,  # X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT
    3: TlsFailure(_UNSURE.reason, f"{_UNSURE.words}: the authority's list (crl) is missing"),
    7: TlsFailure("tls_unverified", "the signature of its certificate, or of one above it, is wrong"),
    8: TlsFailure(_UNSURE.reason, f"{_UNSURE.words}: the signature of the authority's list (crl) is wrong"),
    9: TlsFailure("tls_not_yet_valid", "its certificate, or one above it, is not valid yet"),
    10: TlsFailure("tls_expired", "its certificate, or one above it, has expired"),
    11: TlsFailure(_UNSURE.reason, f"{_UNSURE.words}: the authority's list (crl) is not valid yet"),
    12: TlsFailure(_UNSURE.reason, f"{_UNSURE.words}: the authority's list (crl) has expired"),
    18: TlsFailure("tls_self_signed", "its certificate is signed by itself, and not trusted as such"),
    19: _UNKNOWN,  # a root that came along
    20: _UNKNOWN,  # X509_V_ERR_UNABLE_TO_GET_ISSUER_CERT_LOCALLY
    21: _UNKNOWN,  # X509_V_ERR_UNABLE_TO_VERIFY_LEAF_SIGNATURE
    22: TlsFailure("tls_unverified", "its chain is longer than is allowed (of clients: client_depth)"),
    23: TlsFailure("tls_revoked", "its certificate was revoked"),
    25: _OF_NO_AUTHORITY,  # X509_V_ERR_PATH_LENGTH_EXCEEDED
    26: TlsFailure("tls_unverified", "its certificate is not meant for this side of a connection (extendedKeyUsage)"),
    47: _OUTSIDE,  # X509_V_ERR_PERMITTED_VIOLATION
    48: _OUTSIDE,  # X509_V_ERR_EXCLUDED_VIOLATION
    62: TlsFailure("tls_wrong_name", "its certificate is for another name"),
    63: TlsFailure("tls_wrong_name", "its certificate is for another name"),
    64: TlsFailure("tls_wrong_name", "its certificate is for another address"),
    66: _WEAK,  # X509_V_ERR_EE_KEY_TOO_SMALL
    67: _WEAK,  # X509_V_ERR_CA_KEY_TOO_SMALL
    68: _WEAK,  # X509_V_ERR_CA_MD_TOO_WEAK
    79: _OF_NO_AUTHORITY,  # X509_V_ERR_INVALID_CA
}
WRONG_PIN = TlsFailure("tls_wrong_pin", "its key is none of those that are pinned")
_NOT_TLS = TlsFailure("tls_not_spoken", "it does not speak TLS there")
_VERSION = TlsFailure("tls_no_common_version", "no version of TLS is spoken by both")
_CIPHER = TlsFailure("tls_no_common_cipher", "no cipher suite, or group, is known to both")
_OURS = TlsFailure("tls_client_certificate", "it does not take our certificate, or wants one and gets none")
_BY_REASON = {
    "WRONG_VERSION_NUMBER": _NOT_TLS,
    "PACKET_LENGTH_TOO_LONG": _NOT_TLS,
    "UNKNOWN_PROTOCOL": _NOT_TLS,
    "HTTP_REQUEST": _NOT_TLS,
    "UNSUPPORTED_PROTOCOL": _VERSION,
    "VERSION_TOO_LOW": _VERSION,
    "NO_PROTOCOLS_AVAILABLE": _VERSION,
    "TLSV1_ALERT_PROTOCOL_VERSION": _VERSION,
    "NO_SHARED_CIPHER": _CIPHER,
    "NO_CIPHERS_AVAILABLE": _CIPHER,
    "WRONG_CIPHER_RETURNED": _CIPHER,
    "TLSV1_ALERT_INSUFFICIENT_SECURITY": _CIPHER,
    "SSLV3_ALERT_BAD_CERTIFICATE": _OURS,
    "SSLV3_ALERT_UNSUPPORTED_CERTIFICATE": _OURS,
    "SSLV3_ALERT_CERTIFICATE_REVOKED": _OURS,
    "SSLV3_ALERT_CERTIFICATE_EXPIRED": _OURS,
    "SSLV3_ALERT_CERTIFICATE_UNKNOWN": _OURS,
    "TLSV1_ALERT_UNKNOWN_CA": _OURS,
    "TLSV1_ALERT_ACCESS_DENIED": _OURS,
    "TLSV13_ALERT_CERTIFICATE_REQUIRED": _OURS,
}
REFUSED_ALERT = "SSLV3_ALERT_HANDSHAKE_FAILURE"
"""Before the server has chosen a suite it has found none; behind that it is a client's certificate that it misses (TLS 1.2)."""
VERIFY_FAILED = "CERTIFICATE_VERIFY_FAILED"


def tls_failure(error: ssl.SSLError, *, chosen: bool = True) -> TlsFailure:
    """What an error of a client's handshake, or of its first read, means; `chosen`: a cipher suite was agreed on by then."""
    reason = (error.reason or "").upper().replace(" ", "_")
    if reason == VERIFY_FAILED:
        number = getattr(error, "verify_code", 0)
        return _BY_NUMBER.get(number, TlsFailure("tls_unverified", f"its certificate cannot be verified (OpenSSL says {number})"))
    if reason == REFUSED_ALERT:
        return _OURS if chosen else _CIPHER
    found = _BY_REASON.get(reason)
    return found or TlsFailure("tls_failure", f"the handshake failed: {reason.lower().replace('_', ' ') or error}")
