"""OpenSSL's functions about private keys, of the very library that Python's `ssl` has loaded, as far as ctypes reaches them."""

from __future__ import annotations

import ctypes
from functools import cache
from typing import Any

from lbproxy.tls import openssl

POINTER = ctypes.c_void_p
INT = ctypes.c_int
NO_PADDING, PKCS1_PADDING = 3, 1
RSA, EC = 6, 408  # EVP_PKEY_RSA, EVP_PKEY_EC
RSA_DATA, EC_DATA = 9, 8  # CRYPTO_EX_INDEX_RSA, CRYPTO_EX_INDEX_EC_KEY
LARGEST_SIGNATURE = 2048

_FUNCTIONS: openssl.Functions = {
    "BIO_new_mem_buf": (POINTER, (POINTER, INT)),
    "BIO_free": (INT, (POINTER,)),
    "PEM_read_bio_PrivateKey": (POINTER, (POINTER, POINTER, POINTER, ctypes.c_char_p)),
    "EVP_PKEY_free": (None, (POINTER,)),
    "EVP_PKEY_get_base_id": (INT, (POINTER,)),
    "EVP_PKEY_new": (POINTER, ()),
    "EVP_PKEY_assign": (INT, (POINTER, INT, POINTER)),
    "EVP_PKEY_get1_RSA": (POINTER, (POINTER,)),
    "EVP_PKEY_get1_EC_KEY": (POINTER, (POINTER,)),
    "EVP_PKEY_CTX_new": (POINTER, (POINTER, POINTER)),
    "EVP_PKEY_CTX_free": (None, (POINTER,)),
    "EVP_PKEY_CTX_set_rsa_padding": (INT, (POINTER, INT)),
    "EVP_PKEY_sign_init": (INT, (POINTER,)),
    "EVP_PKEY_sign": (INT, (POINTER, POINTER, POINTER, ctypes.c_char_p, ctypes.c_size_t)),
    "RSAPublicKey_dup": (POINTER, (POINTER,)),
    "RSA_free": (None, (POINTER,)),
    "RSA_size": (INT, (POINTER,)),
    "RSA_meth_dup": (POINTER, (POINTER,)),
    "RSA_PKCS1_OpenSSL": (POINTER, ()),
    "RSA_meth_set_priv_enc": (INT, (POINTER, POINTER)),
    "RSA_meth_set_priv_dec": (INT, (POINTER, POINTER)),
    "RSA_set_method": (INT, (POINTER, POINTER)),
    "RSA_set_ex_data": (INT, (POINTER, INT, POINTER)),
    "RSA_get_ex_data": (POINTER, (POINTER, INT)),
    "EC_KEY_dup": (POINTER, (POINTER,)),
    "EC_KEY_free": (None, (POINTER,)),
    "EC_KEY_METHOD_new": (POINTER, (POINTER,)),
    "EC_KEY_OpenSSL": (POINTER, ()),
    "EC_KEY_METHOD_set_sign": (None, (POINTER, POINTER, POINTER, POINTER)),
    "EC_KEY_set_method": (INT, (POINTER, POINTER)),
    "EC_KEY_set_ex_data": (INT, (POINTER, INT, POINTER)),
    "EC_KEY_get_ex_data": (POINTER, (POINTER, INT)),
    "ECDSA_size": (INT, (POINTER,)),
    "CRYPTO_get_ex_new_index": (INT, (INT, ctypes.c_long, POINTER, POINTER, POINTER, POINTER)),
    "ERR_clear_error": (None, ()),
    "SSL_CTX_use_certificate_chain_file": (INT, (POINTER, ctypes.c_char_p)),
    "SSL_CTX_get0_certificate": (POINTER, (POINTER,)),
    "SSL_CTX_use_PrivateKey": (INT, (POINTER, POINTER)),
    "X509_get_pubkey": (POINTER, (POINTER,)),
}


@cache
def functions() -> Any:
    """None where OpenSSL is another than expected (before 3.0, or without methods of keys), or hides."""
    return openssl.reach(_FUNCTIONS)


def load(text: bytearray) -> int:
    """A private key in PEM form, as EVP_PKEY; 0: there is none."""
    lib = functions()
    held = (ctypes.c_char * len(text)).from_buffer(text)
    source = lib.BIO_new_mem_buf(held, len(text))
    try:
        return int(lib.PEM_read_bio_PrivateKey(source, None, None, b"") or 0)
    finally:
        lib.BIO_free(source)
        lib.ERR_clear_error()
        del held


def sign(key: int, padding: int, data: bytes) -> bytes | None:
    """A signature; `padding`: of RSA, 0 for EC. None when it cannot be made."""
    lib = functions()
    context = lib.EVP_PKEY_CTX_new(key, None)
    made, size = ctypes.create_string_buffer(LARGEST_SIGNATURE), ctypes.c_size_t(LARGEST_SIGNATURE)
    try:
        if lib.EVP_PKEY_sign_init(context) != 1:
            return None
        if padding and lib.EVP_PKEY_CTX_set_rsa_padding(context, padding) != 1:
            return None
        if lib.EVP_PKEY_sign(context, made, ctypes.byref(size), data, len(data)) != 1:
            return None
        return made.raw[: size.value]
    finally:
        lib.EVP_PKEY_CTX_free(context)
        lib.ERR_clear_error()
