"""What a failure of TLS towards a backend is called."""

from __future__ import annotations

import ssl

import pytest

from lbproxy.net.tls_failures import tls_failure


def refusal(reason: str, number: int = 0) -> ssl.SSLError:
    error = ssl.SSLError(1, reason)
    error.reason = reason
    error.verify_code = number  # type: ignore[attr-defined]
    return error


@pytest.mark.parametrize(("number", "reason"), [
    (10, "tls_expired"), (9, "tls_not_yet_valid"), (62, "tls_wrong_name"), (64, "tls_wrong_name"), (20, "tls_unknown_authority"),
    (19, "tls_unknown_authority"), (21, "tls_unknown_authority"), (18, "tls_self_signed"), (23, "tls_revoked"),
    (3, "tls_revocation_unknown"), (12, "tls_revocation_unknown"), (26, "tls_unverified"), (0, "tls_unverified"),
])  # fmt: skip
def test_certificates_by_their_number(number: int, reason: str) -> None:
    assert tls_failure(refusal("CERTIFICATE_VERIFY_FAILED", number)).reason == reason


@pytest.mark.parametrize(("number", "words"), [
    (7, "signature"), (22, "client_depth"), (25, "authority"), (26, "extendedKeyUsage"), (47, "names"), (66, "weak"),
    (79, "authority"), (1, "OpenSSL says 1"),
])  # fmt: skip
def test_what_has_no_reason_of_its_own_has_words(number: int, words: str) -> None:
    failure = tls_failure(refusal("CERTIFICATE_VERIFY_FAILED", number))
    assert failure.reason == "tls_unverified"
    assert words in failure.words


@pytest.mark.parametrize(("said", "chosen", "reason"), [
    ("TLSV1_ALERT_PROTOCOL_VERSION", False, "tls_no_common_version"),
    ("UNSUPPORTED_PROTOCOL", False, "tls_no_common_version"),
    ("SSLV3_ALERT_HANDSHAKE_FAILURE", False, "tls_no_common_cipher"),
    ("SSLV3_ALERT_HANDSHAKE_FAILURE", True, "tls_client_certificate"),
    ("TLSV13_ALERT_CERTIFICATE_REQUIRED", True, "tls_client_certificate"),
    ("TLSV1_ALERT_UNKNOWN_CA", True, "tls_client_certificate"),
    ("WRONG_VERSION_NUMBER", False, "tls_not_spoken"),
    ("TLSV1_ALERT_INTERNAL_ERROR", True, "tls_failure"),
    ("", True, "tls_failure"),
])  # fmt: skip
def test_everything_else_by_openssls_word(said: str, chosen: bool, reason: str) -> None:
    assert tls_failure(refusal(said), chosen=chosen).reason == reason
    assert tls_failure(refusal(said.lower()), chosen=chosen).reason == reason
