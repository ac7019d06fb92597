"""Keys that a worker has not: its TLS contexts hold certificates, and ask another process for each signature
(master/processes/keys.py).

Theory of operation. OpenSSL lets an RSA or EC key have a method of its own (RSA_METHOD, EC_KEY_METHOD; engines for PKCS #11 live by
that). A key is made of the certificate's public half, is given such a method and where its other half stands in the store of keys,
and goes into the context (SSL_CTX_use_PrivateKey). When a handshake comes to its signature, OpenSSL calls the method, which is
Python by way of ctypes, in the compiled form as well as in the plain one.

The call waits for its answer, and with it the whole worker, as it would for the signature if it made that itself: each worker has a
process of its own to ask, so nobody is before it in a queue. OpenSSL's own way of going on with something else (SSL_MODE_ASYNC) is
none: it runs the handshake on a stack of 32 KiB, on which the choice of a certificate, Python, would run too. A process that does
not answer within PATIENCE is given up at once, and handshakes fail until the master has sent another.
"""

from __future__ import annotations

import ctypes
import os
import select
import socket
import ssl
from collections.abc import Callable
from typing import Any

from lbproxy.errors import StartError
from lbproxy.tls import libcrypto, openssl
from lbproxy.tls.contexts import Pem
from lbproxy.tls.keystore import Piece
from lbproxy.tls.libcrypto import EC, INT, NO_PADDING, PKCS1_PADDING, POINTER, RSA
from lbproxy.tls.signing import DONE, ECDSA, PKCS1, PSS, SigningQuestion

PATIENCE = 1.0
"""Seconds for a signature, which takes 4 milliseconds with RSA 4096."""
KINDS = ("RSA", "EC")
"""Of keys, by the words of sni.kind_of; the others have no methods."""
_KEPT: list[RemoteKeys] = []
"""All that were made (one, in a worker): OpenSSL calls them as long as there is a context, and does not know who holds them."""
_SIZE_BITS = 24
_FAILED = -1
_ENCRYPT = ctypes.CFUNCTYPE(INT, INT, POINTER, POINTER, POINTER, INT)
_SIGN = ctypes.CFUNCTYPE(INT, INT, POINTER, INT, POINTER, POINTER, POINTER, POINTER, POINTER)


def missing() -> str:
    """Why it cannot be done here; "": it can."""
    return "" if libcrypto.functions() is not None else f"{ssl.OPENSSL_VERSION} has no methods for keys that lbproxy could reach"


class RemoteKeys:
    """The keys of one worker; made before its privileges go."""

    def __init__(self, sock: socket.socket) -> None:
        """`sock`: to the process that has them."""
        self._sock: socket.socket | None = None
        self.reconnect(sock)
        self.on_silence: Callable[[], None] = lambda: None
        """Told, once for each process, that it does not answer."""
        self._library: Any = libcrypto.functions()
        lib = self._library
        self._rsa_index = lib.CRYPTO_get_ex_new_index(libcrypto.RSA_DATA, 0, None, None, None, None)
        self._ec_index = lib.CRYPTO_get_ex_new_index(libcrypto.EC_DATA, 0, None, None, None, None)
        self._encrypt, self._decrypt = _ENCRYPT(self._on_rsa), _ENCRYPT(_refused)
        self._sign = _SIGN(self._on_ec)
        self._rsa = lib.RSA_meth_dup(lib.RSA_PKCS1_OpenSSL())
        lib.RSA_meth_set_priv_enc(self._rsa, self._encrypt)
        lib.RSA_meth_set_priv_dec(self._rsa, self._decrypt)
        self._ec = lib.EC_KEY_METHOD_new(lib.EC_KEY_OpenSSL())
        lib.EC_KEY_METHOD_set_sign(self._ec, self._sign, None, None)
        _KEPT.append(self)

    def reconnect(self, sock: socket.socket) -> None:
        """From now on, to another process."""
        self.close()
        self._sock = sock
        self._answers = select.poll()  # rather than a time-out of the socket's, for which a worker may not ask
        self._answers.register(sock, select.POLLIN)

    def close(self) -> None:
        """At any time, also again."""
        if self._sock is not None:
            self._sock.close()
            self._sock = None

    # ---------------------------------------------------------------- into contexts

    def load(self, context: ssl.SSLContext, pem: Pem) -> None:
        """As contexts.load, for pairs whose key is elsewhere. Raises StartError."""
        lib = self._library
        pointer = openssl.context_of(context)
        if not pointer:
            raise StartError("this Python keeps its contexts elsewhere: key_isolation cannot be had")
        try:
            with pem.store.as_file(pem.cert) as cert:
                done = lib.SSL_CTX_use_certificate_chain_file(pointer, os.fsencode(cert)) == 1
            public = lib.X509_get_pubkey(lib.SSL_CTX_get0_certificate(pointer)) if done else None
            key = self._made(public, pem.key) if public else None
            if not key or lib.SSL_CTX_use_PrivateKey(pointer, key) != 1:
                raise StartError(f"certificate {pem.files.cert}: its key is neither RSA nor EC, or it cannot be read")
            lib.EVP_PKEY_free(key)
        except OSError as error:
            raise StartError(f"certificate {pem.files.cert}: {error.strerror or error}") from error
        finally:
            lib.ERR_clear_error()

    def _made(self, public: int, piece: Piece) -> int | None:
        """A key of the public half alone, which knows where the other is."""
        lib = self._library
        place = ((piece.offset + 1) << _SIZE_BITS) | piece.size
        kind = lib.EVP_PKEY_get_base_id(public)
        inner = None
        if kind == RSA:
            whole = lib.EVP_PKEY_get1_RSA(public)
            inner = lib.RSAPublicKey_dup(whole)
            lib.RSA_free(whole)
            lib.RSA_set_method(inner, self._rsa)
            lib.RSA_set_ex_data(inner, self._rsa_index, place)
        elif kind == EC:
            whole = lib.EVP_PKEY_get1_EC_KEY(public)
            inner = lib.EC_KEY_dup(whole)
            lib.EC_KEY_free(whole)
            lib.EC_KEY_set_method(inner, self._ec)
            lib.EC_KEY_set_ex_data(inner, self._ec_index, place)
        lib.EVP_PKEY_free(public)
        if not inner:
            return None
        key = lib.EVP_PKEY_new()
        lib.EVP_PKEY_assign(key, kind, inner)
        return int(key)

    # ---------------------------------------------------------------- OpenSSL's questions

    def _on_rsa(self, size: int, data: int, into: int, rsa: int, padding: int) -> int:
        kind = {NO_PADDING: PSS, PKCS1_PADDING: PKCS1}.get(padding)
        if kind is None:
            return _FAILED
        place = self._library.RSA_get_ex_data(rsa, self._rsa_index) or 0
        signature = self._ask(kind, place, ctypes.string_at(data, size))
        if len(signature) != self._library.RSA_size(rsa):
            return _FAILED
        ctypes.memmove(into, signature, len(signature))
        return len(signature)

    def _on_ec(self, _: int, digest: int, size: int, into: int, length: int, __: int, ___: int, key: int) -> int:
        place = self._library.EC_KEY_get_ex_data(key, self._ec_index) or 0
        signature = self._ask(ECDSA, place, ctypes.string_at(digest, size))
        if not signature or len(signature) > self._library.ECDSA_size(key):
            return 0
        ctypes.memmove(into, signature, len(signature))
        ctypes.c_uint.from_address(length).value = len(signature)
        return 1

    def _ask(self, kind: int, place: int, data: bytes) -> bytes:
        """b"": there is no signature."""
        if self._sock is None or not place:
            return b""
        offset, size = (place >> _SIZE_BITS) - 1, place & ((1 << _SIZE_BITS) - 1)
        try:
            self._sock.send(SigningQuestion(kind, offset, size, data).packed())
            there = self._answers.poll(PATIENCE * 1000)
            answer = self._sock.recv(libcrypto.LARGEST_SIGNATURE + len(DONE)) if there else b""
        except OSError:  # gone, or too slow: an answer that comes later would be another question's
            answer = b""
        if not answer:
            self.close()
            self.on_silence()
        return answer[len(DONE) :] if answer.startswith(DONE) else b""


def _refused(*_: int) -> int:
    """Nothing is decrypted: the exchange of keys by RSA is not offered by any profile but the old one."""
    return _FAILED
