"""The authorities whose certificates a listener takes, told to clients in the handshake (RFC 8446 4.2.4, RFC 5246 7.4.4).

Browsers show those of their certificates that fit, and programs with several choose by it: without the names they guess, or send
none. Python's `ssl` has no word for it, so OpenSSL itself is asked, in the library that `ssl` has loaded. The `SSL_CTX *` is the
first thing behind the head of an SSLContext, from Python 3.6 on; it is looked at (its options must be the context's) before it is
used. Where any of this is not as expected the names are not sent, and everything else is as it was.
"""

from __future__ import annotations

import ctypes
import ssl
from collections.abc import Iterable


def announce(context: ssl.SSLContext, authorities: Iterable[bytes]) -> bool:
    """Send the subjects of these certificates (DER) with each request for a client's certificate. False: it cannot be done here."""
    try:
        library = _library()
        pointer = ctypes.c_void_p.from_address(id(context) + object.__basicsize__).value
    except (AttributeError, OSError, ImportError):
        return False
    if not pointer or library.SSL_CTX_get_options(pointer) != int(context.options):
        return False
    for der in authorities:
        at = ctypes.c_char_p(der)
        certificate = library.d2i_X509(None, ctypes.byref(at), len(der))
        if not certificate:
            library.ERR_clear_error()  # else the next user of OpenSSL would take it for his own
            continue
        library.SSL_CTX_add_client_CA(pointer, certificate)
        library.X509_free(certificate)
    return True


def _library() -> ctypes.CDLL:
    """The OpenSSL that `_ssl` is linked with. Raises AttributeError, OSError: linked in, or hidden."""
    import _ssl

    library = ctypes.CDLL(_ssl.__file__)
    pointer, number = ctypes.c_void_p, ctypes.c_long
    library.SSL_CTX_get_options.argtypes, library.SSL_CTX_get_options.restype = [pointer], ctypes.c_uint64
    library.d2i_X509.argtypes, library.d2i_X509.restype = [pointer, ctypes.POINTER(ctypes.c_char_p), number], pointer
    library.SSL_CTX_add_client_CA.argtypes = [pointer, pointer]
    library.X509_free.argtypes, library.X509_free.restype = [pointer], None
    library.ERR_clear_error.argtypes, library.ERR_clear_error.restype = [], None
    return library
