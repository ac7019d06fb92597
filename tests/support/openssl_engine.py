"""A TLS client between memory buffers by libssl itself, for what Python's ssl does not offer: KeyUpdate, renegotiation."""

from __future__ import annotations

import ctypes
from ctypes.util import find_library

import pytest

_TLS1_2 = 0x0303
_SET_MAX_VERSION = 124  # SSL_CTRL_SET_MAX_PROTO_VERSION
_UPDATE_REQUESTED = 1  # SSL_KEY_UPDATE_REQUESTED

_PROTOTYPES: dict[str, tuple[object, list[object]]] = {
    "TLS_client_method": (ctypes.c_void_p, []),
    "SSL_CTX_new": (ctypes.c_void_p, [ctypes.c_void_p]),
    "SSL_CTX_ctrl": (ctypes.c_long, [ctypes.c_void_p, ctypes.c_int, ctypes.c_long, ctypes.c_void_p]),
    "SSL_CTX_free": (None, [ctypes.c_void_p]),
    "SSL_new": (ctypes.c_void_p, [ctypes.c_void_p]),
    "SSL_set_bio": (None, [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p]),
    "SSL_set_connect_state": (None, [ctypes.c_void_p]),
    "SSL_do_handshake": (ctypes.c_int, [ctypes.c_void_p]),
    "SSL_write": (ctypes.c_int, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]),
    "SSL_read": (ctypes.c_int, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]),
    "SSL_key_update": (ctypes.c_int, [ctypes.c_void_p, ctypes.c_int]),
    "SSL_renegotiate": (ctypes.c_int, [ctypes.c_void_p]),
    "SSL_free": (None, [ctypes.c_void_p]),
    "BIO_s_mem": (ctypes.c_void_p, []),
    "BIO_new": (ctypes.c_void_p, [ctypes.c_void_p]),
    "BIO_read": (ctypes.c_int, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]),
    "BIO_write": (ctypes.c_int, [ctypes.c_void_p, ctypes.c_char_p, ctypes.c_int]),
}


def _library() -> ctypes.CDLL:
    name = find_library("ssl")
    if name is None:
        pytest.skip("libssl is not found")
    library = ctypes.CDLL(name)
    for function, (result, arguments) in _PROTOTYPES.items():
        bound = getattr(library, function)
        bound.restype, bound.argtypes = result, arguments
    return library


class Engine:
    """A client that verifies nothing. `put` what came, `take` what is to be sent."""

    def __init__(self, *, only_1_2: bool = False) -> None:
        library = self._library = _library()
        self._context = library.SSL_CTX_new(library.TLS_client_method())
        if only_1_2:
            assert library.SSL_CTX_ctrl(self._context, _SET_MAX_VERSION, _TLS1_2, None) == 1
        self._tls = library.SSL_new(self._context)
        self._incoming, self._outgoing = (library.BIO_new(library.BIO_s_mem()) for _ in range(2))
        library.SSL_set_bio(self._tls, self._incoming, self._outgoing)  # which owns them from now on
        library.SSL_set_connect_state(self._tls)

    def close(self) -> None:
        """Free it; it must not be used again."""
        self._library.SSL_free(self._tls)
        self._library.SSL_CTX_free(self._context)

    def put(self, raw: bytes) -> None:
        """Bytes from the server."""
        assert self._library.BIO_write(self._incoming, raw, len(raw)) == len(raw)

    def take(self) -> bytes:
        """Bytes for the server."""
        pieces = []
        buffer = ctypes.create_string_buffer(65536)
        while (size := self._library.BIO_read(self._outgoing, buffer, len(buffer))) > 0:
            pieces.append(buffer.raw[:size])
        return b"".join(pieces)

    def shake(self) -> bool:
        """A step of the handshake; True when it is done."""
        return bool(self._library.SSL_do_handshake(self._tls) == 1)

    def write(self, data: bytes) -> None:
        """Encrypt."""
        assert self._library.SSL_write(self._tls, data, len(data)) == len(data)

    def read(self) -> bytes:
        """Decrypt what is there."""
        buffer = ctypes.create_string_buffer(65536)
        size = self._library.SSL_read(self._tls, buffer, len(buffer))
        return buffer.raw[: max(0, size)]

    def key_update(self) -> None:
        """New keys for our direction, and the server is asked to do the same."""
        assert self._library.SSL_key_update(self._tls, _UPDATE_REQUESTED) == 1
        assert self.shake()

    def renegotiate(self) -> None:
        """TLS 1.2: ask for another handshake."""
        assert self._library.SSL_renegotiate(self._tls) == 1
        self.shake()
