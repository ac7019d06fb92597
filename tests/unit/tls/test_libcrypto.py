"""OpenSSL by ctypes: keys are loaded and sign as others verify."""

from __future__ import annotations

import hashlib

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, utils

from lbproxy.tls import libcrypto
from tests.unit.tls.files import ec_key, key_pem


def test_a_key_signs() -> None:
    """And what is no key is none."""
    key = ec_key()
    loaded = libcrypto.load(bytearray(key_pem(key)))
    assert loaded
    digest = hashlib.sha256(b"hello").digest()
    signature = libcrypto.sign(loaded, 0, digest)
    assert signature is not None
    key.public_key().verify(signature, digest, ec.ECDSA(utils.Prehashed(hashes.SHA256())))
    libcrypto.functions().EVP_PKEY_free(loaded)
    assert libcrypto.load(bytearray(b"nothing of the kind")) == 0
    assert libcrypto.load(bytearray(key_pem(key, b"secret"))) == 0  # it asks nobody for the passphrase
