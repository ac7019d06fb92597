"""Questions that a worker may ask of the process that holds its keys: for a signature over what TLS signs, and for nothing else.

OpenSSL's methods for RSA keys hand out padded blocks. Raw RSA on anything that somebody hands in would be decryption as well: of
recorded sessions whose key was exchanged by RSA, say. So a block is signed only when it has the form of a signature: one of PSS
(RFC 8017 9.1.1) shows at least a thousand bits that nobody can make fit a ciphertext, and of PKCS #1 v1.5 only the digest is
handed over, and padded where the key is. Nothing here reads, sends or signs.
"""

from __future__ import annotations

import hashlib
import struct
from typing import NamedTuple

PSS, PKCS1, ECDSA = 1, 2, 3
LARGEST_BLOCK = 2048
"""Bytes: RSA keys of 16,384 bits, which is OpenSSL's own limit."""
LARGEST = 16 + LARGEST_BLOCK
"""Bytes of a question."""
_HEAD = struct.Struct("<BxxxIQ")
DONE, REFUSED = b"\x01", b"\x00"

DIGESTS = {
    bytes.fromhex("3021300906052b0e03021a05000414"): 20,
    bytes.fromhex("302d300d06096086480165030402040500041c"): 28,
    bytes.fromhex("3031300d060960864801650304020105000420"): 32,
    bytes.fromhex("3041300d060960864801650304020205000430"): 48,
    bytes.fromhex("3051300d060960864801650304020305000440"): 64,
}
"""How a DigestInfo begins (RFC 8017 9.2), and the bytes of the digest behind it: SHA-1 to SHA-512."""
MD5_SHA1 = 36
"""Bytes of what TLS 1.0 and 1.1 sign (RFC 4346 4.7)."""
ECDSA_DIGESTS = (20, 28, 32, 48, 64)


class SigningQuestion(NamedTuple):
    """A signature that is asked for."""

    kind: int
    """PSS, PKCS1 or ECDSA."""
    offset: int
    size: int
    """Where the key stands in the store."""
    data: bytes
    """An encoded message, a DigestInfo or a digest."""

    def packed(self) -> bytes:
        """As it goes over the socket."""
        return _HEAD.pack(self.kind, self.size, self.offset) + self.data


def unpacked(said: bytes) -> SigningQuestion | None:
    """None for what no worker of ours asks: the form alone is looked at."""
    if not _HEAD.size < len(said) <= LARGEST:
        return None
    kind, size, offset = _HEAD.unpack_from(said)
    question = SigningQuestion(kind, offset, size, said[_HEAD.size :])
    return question if _FORMS.get(kind, _nothing)(question.data) else None


def is_pss(block: bytes) -> bool:
    """Whether it is an encoded message of EMSA-PSS, with a salt as long as the digest, as TLS has it (RFC 8446 4.2.3)."""
    if len(block) < 128 or block[-1] != 0xBC:
        return False
    names = ("sha256", "sha384", "sha512")
    if any(_is_pss_by(block, name, range(1, 8)) for name in names):
        return True
    return block[0] == 0 and any(_is_pss_by(block[1:], name, range(1)) for name in names)  # 2049 bits, say: it is a byte shorter


def _is_pss_by(block: bytes, name: str, spare: range) -> bool:
    """`spare`: how many bits the key's size may leave over of the first byte; they are zero, whatever the mask has there."""
    length = hashlib.new(name).digest_size
    masked, digest = block[: -length - 1], block[-length - 1 : -1]
    mixed = int.from_bytes(masked, "big") ^ int.from_bytes(_mask(digest, len(masked), name), "big")
    plain = mixed.to_bytes(len(masked), "big")
    zeros = len(plain) - length - 1
    if zeros < 1 or any(plain[1:zeros]) or plain[zeros] != 1:
        return False
    return any(masked[0] >> (8 - bits) == 0 and plain[0] & (0xFF >> bits) == 0 for bits in spare)


def _mask(seed: bytes, length: int, name: str) -> bytes:
    """MGF1 (RFC 8017 B.2.1)."""
    count = -(-length // hashlib.new(name).digest_size)
    return b"".join(hashlib.new(name, seed + number.to_bytes(4, "big")).digest() for number in range(count))[:length]


def is_digest_info(data: bytes) -> bool:
    """Or what TLS before 1.2 has instead."""
    if len(data) == MD5_SHA1:
        return True
    return any(data.startswith(begin) and len(data) == len(begin) + size for begin, size in DIGESTS.items())


def _is_digest(data: bytes) -> bool:
    return len(data) in ECDSA_DIGESTS


def _nothing(_: bytes) -> bool:
    return False


_FORMS = {PSS: is_pss, PKCS1: is_digest_info, ECDSA: _is_digest}
