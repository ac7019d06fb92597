"""What has the form of a signature is told from what has not: nothing else is ever worked on with a key."""

from __future__ import annotations

import os
from functools import cache

import pytest
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding, rsa

from lbproxy.tls.signing import ECDSA, LARGEST, PKCS1, PSS, SigningQuestion, is_digest_info, is_pss, unpacked

HASHES = (hashes.SHA256(), hashes.SHA384(), hashes.SHA512())


@cache
def key_of(bits: int) -> rsa.RSAPrivateKey:
    """Made where it is wanted: each process of pytest's loads this file, and one runs a test of it."""
    return rsa.generate_private_key(65537, bits)


def block_of(signature: bytes, key: rsa.RSAPrivateKey) -> bytes:
    """What was signed, as the public half gives it back."""
    numbers = key.public_key().public_numbers()
    return pow(int.from_bytes(signature, "big"), numbers.e, numbers.n).to_bytes((key.key_size + 7) // 8, "big")


@pytest.mark.parametrize("bits", [1024, 2041, 2047, 2048, 2049, 3072])
@pytest.mark.parametrize("hashed", HASHES, ids=lambda hashed: hashed.name)
def test_blocks_of_pss(bits: int, hashed: hashes.HashAlgorithm) -> None:
    """As somebody else makes them; and none with a bit changed in what is known of them."""
    if bits == 1024 and hashed.name == "sha512":
        return  # there is no room
    key = key_of(bits)
    for _ in range(20):
        block = block_of(key.sign(os.urandom(9), padding.PSS(padding.MGF1(hashed), hashed.digest_size), hashed), key)
        assert is_pss(block)
        first = int(bits % 8 == 1)  # there the block is a byte shorter than the key
        assert not is_pss(block[:first] + bytes((block[first] ^ 1,)) + block[first + 1 :])
        assert not is_pss(bytes((block[0] ^ 0x80,)) + block[1:])
        assert not is_pss(block[:5] + bytes((block[5] ^ 0x10,)) + block[6:])
        assert not is_pss(block[:-1] + b"\xbb")
        assert bits % 8 == 1 or not is_pss(block[1:])


def test_other_blocks() -> None:
    """Ciphertexts, blocks of PKCS #1, and whatever one may think of."""
    key = key_of(2048)
    cipher = key.public_key().encrypt(b"premaster", padding.PKCS1v15())
    assert not is_pss(cipher)
    assert not is_pss(cipher[:-1] + b"\xbc")
    assert not is_pss(block_of(key.sign(b"x", padding.PKCS1v15(), hashes.SHA256()), key))
    assert not any(is_pss(os.urandom(255) + b"\xbc") for _ in range(500))
    assert not is_pss(b"")
    assert not is_pss(bytes(256))


def test_digest_infos() -> None:
    """Those of RFC 8017, and of TLS before 1.2."""
    known = bytes.fromhex("3031300d060960864801650304020105000420")
    assert is_digest_info(known + bytes(32))
    assert not is_digest_info(known + bytes(31))
    assert not is_digest_info(known + bytes(33))
    assert is_digest_info(bytes(36))
    assert not is_digest_info(bytes(37))
    assert not is_digest_info(b"")


def test_questions() -> None:
    """Read as they are packed; what is too long, too short or of no form is none."""
    one = SigningQuestion(ECDSA, 2**40, 241, bytes(32))
    assert unpacked(one.packed()) == one
    others = [one._replace(kind=kind) for kind in (0, PSS, PKCS1, 255)] + [one._replace(data=bytes(33))]
    for bad in (b"", one.packed()[:16], one.packed() + bytes(LARGEST), *(each.packed() for each in others)):
        assert unpacked(bad) is None
