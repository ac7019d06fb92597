"""The certificate of tls-alpn-01."""

from __future__ import annotations

import hashlib
from datetime import UTC, datetime

from cryptography import x509

from lbproxy.acme.challenge_certificate import ACME_IDENTIFIER, challenge_certificate


def test_it_is_what_rfc_8737_says() -> None:
    """One name, and a critical extension with the digest of the key authorization."""
    made = x509.load_pem_x509_certificate(challenge_certificate("a.test", "token.thumb", datetime.now(UTC)).encode())
    names = made.extensions.get_extension_for_class(x509.SubjectAlternativeName).value
    assert names.get_values_for_type(x509.DNSName) == ["a.test"]
    found = made.extensions.get_extension_for_oid(ACME_IDENTIFIER)
    assert found.critical
    assert isinstance(found.value, x509.UnrecognizedExtension)
    assert found.value.value == b"\x04\x20" + hashlib.sha256(b"token.thumb").digest()
