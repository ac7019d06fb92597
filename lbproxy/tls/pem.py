"""PEM texts, taken apart in one way: what is judged (audit, remarks) is what is loaded (contexts).

Left to themselves two readers differ. OpenSSL takes TRUSTED CERTIFICATE blocks (`openssl x509 -trustout`) for certificates and
others pass them over, so that one sees the next block as the site's own; and a file that was joined without a line end
("-----END CERTIFICATE----------BEGIN CERTIFICATE-----") ends for OpenSSL where another goes on.
"""

from __future__ import annotations

import binascii
import re
import ssl

Text = bytes | bytearray
"""Of a bytearray nothing is copied but certificates: a key may stand beside them, and the caller wipes it."""

CERTIFICATES = (b"CERTIFICATE", b"X509 CERTIFICATE", b"TRUSTED CERTIFICATE")
"""What OpenSSL's PEM_read_bio_X509_AUX takes for a certificate."""

ENCRYPTED = (b"BEGIN ENCRYPTED PRIVATE KEY", b"Proc-Type: 4,ENCRYPTED")
DER = b"\x30"
"""ASN.1 SEQUENCE: how every PKCS #12 file begins, and every other thing in DER."""

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
    if content.count(_BEGIN) == content.count(_PLAIN) and not seams(content):  # as most files are
        for match in _BLOCK.finditer(content):
            _decoded(match[2])
        return content
    return b"".join(ssl.DER_cert_to_PEM_cert(der).encode("ascii") for der in ders(content))


def _decoded(text: bytes) -> bytes:
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
