"""OpenSSL itself, for what Python's `ssl` has no word for: the library that `ssl` has loaded, and the objects inside its objects.

The `SSL_CTX *` is the first thing behind the head of an SSLContext, from Python 3.6 on; the `SSL *` stands behind the head of the
object under an SSLObject and one more pointer. Each is looked at before it is used: the context's options must be those that
Python tells, and the session must name that very object as its own (`ssl` notes it there, and net/wire.pyx asks the same).
"""

from __future__ import annotations

import ctypes
import ssl
from collections.abc import Mapping
from functools import cache
from typing import Any

HELLO = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_void_p, ctypes.c_void_p, ctypes.c_void_p)
"""SSL_client_hello_cb_fn of openssl/ssl.h."""
GO_ON = 1  # SSL_CLIENT_HELLO_SUCCESS
SET_HOST_NAME = 55  # SSL_CTRL_SET_TLSEXT_HOSTNAME
HOST_NAME = 0  # TLSEXT_NAMETYPE_host_name; its extension (TLSEXT_TYPE_server_name) has the same number
POINTER = ctypes.sizeof(ctypes.c_void_p)

Functions = Mapping[str, tuple[object, tuple[object, ...]]]
"""Results and arguments, by name."""

_P, _I, _L, _S, _N = ctypes.c_void_p, ctypes.c_int, ctypes.c_long, ctypes.c_char_p, ctypes.c_size_t
_FUNCTIONS: Functions = {
    "SSL_CTX_get_options": (ctypes.c_uint64, (_P,)),
    "SSL_get_ex_data": (_P, (_P, _I)),
    "SSL_ctrl": (_L, (_P, _I, _L, _S)),
    "SSL_get_servername": (_S, (_P, _I)),
    "SSL_set_verify": (None, (_P, _I, _P)),
    "SSL_set_session_id_context": (_I, (_P, _S, ctypes.c_uint)),
    "SSL_get0_param": (_P, (_P,)),
    "X509_VERIFY_PARAM_set_flags": (_I, (_P, ctypes.c_ulong)),
    "X509_VERIFY_PARAM_clear_flags": (_I, (_P, ctypes.c_ulong)),
    "X509_VERIFY_PARAM_set_depth": (None, (_P, _I)),
    "SSL_CTX_set_client_hello_cb": (None, (_P, HELLO, _P)),
    "SSL_client_hello_get0_ext": (_I, (_P, ctypes.c_uint, ctypes.POINTER(_P), ctypes.POINTER(_N))),
}


def reach(functions: Functions) -> ctypes.CDLL | None:
    """The library, with these declared. None: it is linked in, hidden, or has not all of them."""
    try:
        import _ssl

        found = ctypes.CDLL(_ssl.__file__)
        for name, (result, arguments) in functions.items():
            function = getattr(found, name)
            function.restype, function.argtypes = result, arguments
    except (AttributeError, OSError, ImportError):
        return None
    return found


@cache
def functions() -> ctypes.CDLL | None:
    """Those of sessions and contexts; None: as above (before 1.1.1)."""
    return reach(_FUNCTIONS)


def context_of(context: ssl.SSLContext) -> int:
    """Its `SSL_CTX *`; 0 where that cannot be told."""
    found = functions()
    pointer = ctypes.c_void_p.from_address(id(context) + object.__basicsize__).value
    if found is None or not pointer or found.SSL_CTX_get_options(pointer) != int(context.options):
        return 0
    return pointer


def session_of(tls: Any) -> int:
    """The `SSL *` of the object under an SSLObject; 0 where that cannot be told."""
    found = functions()
    if found is None or tls.__class__.__name__ != "_SSLSocket":
        return 0
    pointer = ctypes.c_void_p.from_address(id(tls) + object.__basicsize__ + POINTER).value
    return pointer if pointer and found.SSL_get_ex_data(pointer, 0) == id(tls) else 0


def ask_for(tls: Any, name: str) -> bool:
    """Before a client's handshake: ask for this name (SNI), or for none; what is verified stays. False: it cannot be done here."""
    found, session = functions(), session_of(tls)
    if found is None or not session:
        return False
    return bool(found.SSL_ctrl(session, SET_HOST_NAME, HOST_NAME, name.encode("ascii") or None))


def asked_name(tls: Any) -> str:
    """On a server, behind the handshake: the name that the client asked for; "" for none."""
    found, session = functions(), session_of(tls)
    told = found.SSL_get_servername(session, HOST_NAME) if found is not None and session else None
    return told.decode("ascii", "replace") if told else ""
