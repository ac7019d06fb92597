"""PEM texts, taken apart in one way: what is judged (audit, remarks) is what is loaded (contexts).

Left to themselves two readers differ. OpenSSL takes TRUSTED CERTIFICATE blocks (`openssl x509 -trustout`) for certificates and
others pass them over, so that one sees the next block as the site's own; and a file that was joined without a line end
("-----END CERTIFICATE----------BEGIN CERTIFICATE-----") ends for OpenSSL where another goes on.
"""

from __future__ import annotations

import binascii
import re
import ssl
from collections.abc import Sequence
from functools import lru_cache

Text = bytes | bytearray
"""Of a bytearray nothing is copied but certificates: a key may stand beside them, and the caller wipes it."""

CERTIFICATES = (b"CERTIFICATE", b"X509 CERTIFICATE", b"TRUSTED CERTIFICATE")
"""What OpenSSL's PEM_read_bio_X509_AUX takes for a certificate."""

ENCRYPTED = (b"BEGIN ENCRYPTED PRIVATE KEY", b"Proc-Type: 4,ENCRYPTED")
DER = b"\x30"
"""ASN.1 SEQUENCE: how every PKCS #12 file begins, and every other thing in DER."""
LISTS = (b"X509 CRL",)
SHORT = 4096
"""Bytes of what is kept, should it come again."""

_BLOCK = re.compile(rb"-----BEGIN ([A-Z0-9 ]+)-----(.*?)-----END \1-----", re.DOTALL)
_BEGIN, _PLAIN = b"-----BEGIN ", b"-----BEGIN CERTIFICATE-----"
_JOINED = re.compile(rb"(-----END [A-Z0-9 ]+-----)(?=-----BEGIN )")


def is_encrypted(content: Text) -> bool:
    """Whether there is a key in it that wants a passphrase."""
    return any(mark in content for mark in ENCRYPTED)


def seams(content: Text) -> list[int]:
    """Where a line end is missing between two blocks."""
    return [match.end() for match in _JOINED.finditer(content)]


def ders(content: Text) -> list[bytes]:
    """The certificates of a PEM text, in order, as DER. Raises ValueError for a block that holds none."""
    return [_first_element(_decoded(match[2])) for match in _BLOCK.finditer(content) if match[1] in CERTIFICATES]


def first(content: Text) -> bytes | None:
    """The first of them; None when there is none. Raises ValueError as `ders`."""
    for match in _BLOCK.finditer(content):
        if match[1] in CERTIFICATES:
            return _first_element(_decoded(match[2]))
    return None


def chain(content: Text) -> bytes | Text:
    """The certificates alone, as plain CERTIFICATE blocks. Raises ValueError."""
    return plain(content, ders(content))


def plain(content: Text, ders: Sequence[bytes]) -> bytes | Text:
    """The same of a text that holds these."""
    if content.count(_BEGIN) == content.count(_PLAIN) and not seams(content):  # as most files are
        return content
    return b"".join(ssl.DER_cert_to_PEM_cert(der).encode("ascii") for der in ders)


def _decoded(text: bytes) -> bytes:
    return _decoded_once(text) if len(text) <= SHORT else _decode(text)


@lru_cache(maxsize=64)
def _decoded_once(text: bytes) -> bytes:
    """Ten thousand certificates have a handful of intermediates behind them."""
    return _decode(text)


def _decode(text: bytes) -> bytes:
    try:
        return binascii.a2b_base64(text)
    except binascii.Error as error:
        raise ValueError(f"a certificate is no base64: {error}") from error


def _first_element(der: bytes) -> bytes:
    """The certificate alone: behind it TRUSTED CERTIFICATE has what OpenSSL is to trust it for (X.690 8.1.3: lengths)."""
    if len(der) < 2 or der[0] != 0x30:
        raise ValueError("a block called CERTIFICATE holds something else")
    size, begin = der[1], 2
    if size & 0x80:
        begin += size & 0x7F
        size = int.from_bytes(der[2:begin], "big")
    if begin + size > len(der):
        raise ValueError("a certificate is cut short")
    return der[: begin + size]


def lists(content: Text) -> list[bytes]:
    """The lists of revoked certificates (RFC 5280 5) of a file, as DER: in PEM, as many as there are, or one in DER, as authorities
    publish it. Raises ValueError for what holds none."""
    if content[:1] == b"\x30":
        return [_first_element(bytes(content))]
    found = [_first_element(_decoded(match[2])) for match in _BLOCK.finditer(content) if match[1] in LISTS]
    if not found:
        raise ValueError("no list of revoked certificates (X509 CRL)")
    return found


def lists_as_text(content: Text) -> bytes:
    """The same as PEM, and nothing else: a certificate beside them would be trusted as an authority. Raises ValueError."""
    body = (binascii.b2a_base64(der) for der in lists(content))
    return b"".join(b"-----BEGIN X509 CRL-----\n" + text + b"-----END X509 CRL-----\n" for text in body)


# ---------------------------------------------------------------- what stands in a certificate

SEQUENCE, VERSION = 0x30, 0xA0
BEFORE_THE_KEY = 5
"""Fields of a TBSCertificate behind its version and in front of the key (RFC 5280 4.1): serial, signature, issuer, validity,
subject."""


def public_key_of(der: bytes) -> bytes:
    """The SubjectPublicKeyInfo of a certificate, as it stands there. Raises ValueError."""
    _, at, _ = _element(der, 0)  # Certificate
    _, at, end = _element(der, at)  # TBSCertificate
    kind, _, after = _element(der, at)
    if kind == VERSION:
        at = after
    for _ in range(BEFORE_THE_KEY):
        _, _, at = _element(der, at)
    kind, _, after = _element(der, at)
    if kind != SEQUENCE or after > end:
        raise ValueError("a certificate without a key")
    return der[at:after]


def names_of(der: bytes) -> tuple[bytes, bytes]:
    """Issuer and subject of a certificate, as they stand there. Raises ValueError."""
    _, at, _ = _element(der, 0)  # Certificate
    _, at, _ = _element(der, at)  # TBSCertificate
    kind, _, after = _element(der, at)
    if kind == VERSION:
        at = after
    fields = []
    for _ in range(BEFORE_THE_KEY):
        begin = at
        _, _, at = _element(der, at)
        fields.append(der[begin:at])
    _, _, issuer, _, subject = fields
    return issuer, subject


def _element(der: bytes, at: int) -> tuple[int, int, int]:
    """(kind, where the content begins, where it ends) of what stands there (X.690 8.1)."""
    if at + 2 > len(der):
        raise ValueError("cut short")
    size, begin = der[at + 1], at + 2
    if size & 0x80:
        begin += size & 0x7F
        size = int.from_bytes(der[at + 2 : begin], "big")
    if begin + size > len(der):
        raise ValueError("cut short")
    return der[at], begin, begin + size
