"""The refusal of clients that offer by ALPN nothing that is spoken here (RFC 7301 3.2: no_application_protocol, alert 120).

Python's `ssl` goes on without a protocol then, so that a client which asked for something else gets HTTP/1.1: what it sends is
read in another language than it was meant in, which is how one protocol's servers are made to attack another's ("ALPACA"). So the
callback of OpenSSL's is ours: in C where wire.pyx is compiled, elsewhere in Python called by OpenSSL.
"""

from __future__ import annotations

import ctypes
import ssl
from collections.abc import Callable, Sequence
from functools import cache

ACCEPT, REFUSE = 0, 2  # SSL_TLSEXT_ERR_OK, SSL_TLSEXT_ERR_ALERT_FATAL
_CALLBACK = ctypes.CFUNCTYPE(
    ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_void_p
)
POINTER = ctypes.sizeof(ctypes.c_void_p)

Native = Callable[[bytes], tuple[int, int]]
"""The addresses of a callback in C and of what it is to be given, for these protocols; zeros where there is none."""


def wire_form(protocols: Sequence[str]) -> bytes:
    """As they stand in a hello, best first. Who offers HTTP/1.0 alone is meant by http/1.1."""
    names = [*protocols, *(["http/1.0"] if "http/1.1" in protocols else [])]
    return b"".join(len(name).to_bytes(1, "big") + name.encode("ascii") for name in names)


def chosen(wanted: bytes, offered: bytes) -> tuple[int, int] | None:
    """Where in `offered` the first of `wanted` stands that is there, and its length."""
    names = dict(_names(offered))
    return next((names[name] for name, _ in _names(wanted) if name in names), None)


def _names(listed: bytes) -> list[tuple[bytes, tuple[int, int]]]:
    found, at = [], 0
    while at < len(listed):
        size = listed[at]
        found.append((listed[at + 1 : at + 1 + size], (at + 1, size)))
        at += 1 + size
    return found


class _Plain:
    """The choice among protocols, made in Python."""

    def __init__(self, wanted: bytes) -> None:
        self._wanted = wanted
        self.called = _CALLBACK(self._choose)

    def _choose(self, _: int, out: int, out_size: int, offered: int, size: int, __: int) -> int:
        found = chosen(self._wanted, ctypes.string_at(offered, size))
        if found is None:
            return REFUSE
        ctypes.c_void_p.from_address(out).value = offered + found[0]
        ctypes.c_ubyte.from_address(out_size).value = found[1]
        return ACCEPT


@cache
def _plain(wanted: bytes) -> _Plain:
    """OpenSSL keeps its address for as long as the process lives."""
    return _Plain(wanted)


def insist(context: ssl.SSLContext, protocols: Sequence[str], native: Native | None = None) -> bool:
    """Refuse whoever offers protocols, and none of these. False: it cannot be done here, and nothing has changed.

    The context's SSL_CTX is the first pointer of the object, from Python 3.6 on; it is looked at (its options must be the
    context's) before it is used.
    """
    import _ssl

    try:
        library = ctypes.CDLL(_ssl.__file__)
        options, select = library.SSL_CTX_get_options, library.SSL_CTX_set_alpn_select_cb
    except (AttributeError, OSError):
        return False
    options.argtypes, options.restype = [ctypes.c_void_p], ctypes.c_uint64
    select.argtypes, select.restype = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p], None
    pointer = ctypes.c_void_p.from_address(id(context) + object.__basicsize__).value
    if not pointer or options(pointer) != int(context.options):
        return False
    wanted = wire_form(protocols)
    address, given = native(wanted) if native is not None else (0, 0)
    if not address:
        address, given = ctypes.cast(_plain(wanted).called, ctypes.c_void_p).value or 0, 0
    select(pointer, address, given)
    return True
