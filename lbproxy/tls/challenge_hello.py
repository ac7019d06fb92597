"""The answer to tls-alpn-01 (RFC 8737): whoever offers the protocol acme-tls/1 alone, for a name that is being proved, is shown
that name's challenge certificate.

Python's SNI callback comes while OpenSSL takes the hello apart, which by then has consumed the list of protocols, and its ALPN
callback comes when the certificate is chosen. So OpenSSL's own callback for hellos is set (SSL_CTX_set_client_hello_cb(3)), which
comes before both, and there alone extensions may be read (SSL_client_hello_get0_ext(3)). It lends the connection another context,
as SNI does, with that certificate and protocol. It is set while something is being proved, and costs nothing otherwise.
"""

from __future__ import annotations

import ctypes
import os
import ssl
from collections.abc import Sequence
from functools import cache
from typing import Any

from lbproxy.tls.alpn import insist

ACME_TLS = "acme-tls/1"
OFFERED = b"\x00\x0b\x0aacme-tls/1"
"""As it stands in a hello, with nothing beside it (RFC 8737 3)."""
SERVER_NAME, ALPN = 0, 16
SUCCESS = 1
SET_SERVERNAME_CALLBACK = 53  # SSL_CTRL_SET_TLSEXT_SERVERNAME_CB
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
_nothing = _CALLBACK(lambda connection, alert, given: 0)
"""In place of Python's SNI callback, which would choose again."""


@cache
def _library() -> Any:
    """OpenSSL as Python's ssl has it; None where its functions cannot be had."""
    import _ssl

    try:
        library = ctypes.CDLL(_ssl.__file__)
        library.SSL_CTX_set_client_hello_cb.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]
        library.SSL_CTX_set_client_hello_cb.restype = None
        library.SSL_client_hello_get0_ext.argtypes = [
            ctypes.c_void_p, ctypes.c_uint, ctypes.POINTER(ctypes.c_void_p), ctypes.POINTER(ctypes.c_size_t)
        ]  # fmt: skip
        library.SSL_set_SSL_CTX.argtypes, library.SSL_set_SSL_CTX.restype = [ctypes.c_void_p, ctypes.c_void_p], ctypes.c_void_p
        library.SSL_set_verify.argtypes, library.SSL_set_verify.restype = [ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p], None
        library.SSL_CTX_callback_ctrl.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_void_p]
        library.SSL_CTX_callback_ctrl.restype = ctypes.c_long
        library.SSL_CTX_get_options.argtypes, library.SSL_CTX_get_options.restype = [ctypes.c_void_p], ctypes.c_uint64
    except (AttributeError, OSError):
        return None
    return library


def _pointer(context: ssl.SSLContext) -> int:
    """Its SSL_CTX (see alpn.insist); 0: it cannot be had."""
    library = _library()
    found = ctypes.c_void_p.from_address(id(context) + object.__basicsize__).value if library is not None else None
    return found if found and library.SSL_CTX_get_options(found) == int(context.options) else 0


def available() -> bool:
    """Whether hellos can be read here."""
    return _pointer(ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)) != 0


def name_in(extension: bytes) -> str:
    """The host in a server_name extension (RFC 6066 3); "": there is none that could be one of ours."""
    if len(extension) < 5 or extension[2] != 0:
        return ""
    size = int.from_bytes(extension[3:5], "big")
    name = extension[5 : 5 + size]
    return name.decode("ascii").lower() if len(name) == size and name.isascii() else ""


def challenge_context(pem: str) -> ssl.SSLContext:
    """One that shows this certificate, to who speaks acme-tls/1. Raises ssl.SSLError and OSError."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    memory = os.memfd_create("lbproxy-challenge", os.MFD_CLOEXEC)
    try:
        os.write(memory, pem.encode("ascii"))
        context.load_cert_chain(f"/proc/self/fd/{memory}", password="")
    finally:
        os.close(memory)
    insist(context, (ACME_TLS,))
    _library().SSL_CTX_callback_ctrl(_pointer(context), SET_SERVERNAME_CALLBACK, ctypes.cast(_nothing, ctypes.c_void_p))
    return context


class ChallengeHellos:
    """What is shown on some listeners' contexts, in one worker."""

    def __init__(self, listening: Sequence[ssl.SSLContext]) -> None:
        self._listening = [pointer for each in listening if (pointer := _pointer(each))]
        self._kept = listening
        self._shown: dict[str, ssl.SSLContext] = {}
        self._callback = _CALLBACK(self._on_hello)
        """OpenSSL keeps its address."""

    def show(self, name: str, pem: str) -> None:
        """From now on. Raises ssl.SSLError and OSError."""
        self._shown[name] = challenge_context(pem)
        self._set(ctypes.cast(self._callback, ctypes.c_void_p).value)

    def hide(self, name: str) -> None:
        """From now on; connections that were lent it keep it."""
        self._shown.pop(name, None)
        if not self._shown:
            self._set(None)

    def _set(self, callback: int | None) -> None:
        for pointer in self._listening:
            _library().SSL_CTX_set_client_hello_cb(pointer, callback, None)

    def _on_hello(self, connection: int, alert: int, given: int) -> int:
        """From OpenSSL: nothing may be raised here."""
        if _extension(connection, ALPN) == OFFERED:
            context = self._shown.get(name_in(_extension(connection, SERVER_NAME)))
            if context is not None:
                library = _library()
                library.SSL_set_SSL_CTX(connection, _pointer(context))
                library.SSL_set_verify(connection, 0, None)  # an authority has no certificate; nothing is served over it
        return SUCCESS


def _extension(connection: int, number: int) -> bytes:
    """What a hello says there; b"": nothing."""
    out, size = ctypes.c_void_p(), ctypes.c_size_t()
    if not _library().SSL_client_hello_get0_ext(connection, number, ctypes.byref(out), ctypes.byref(size)):
        return b""
    return ctypes.string_at(out, size.value) if out.value and size.value < 4096 else b""
