"""No TLS sessions are kept for clients: who resumes brings a ticket along.

OpenSSL keeps the sessions of TLS 1.2 clients that know no tickets, 20,480 of them in each process, and with each whatever
certificates its client has sent: 1 KiB as a rule, 300 KiB and more from a client that has a certificate and sends sixty others
along. That is gigabytes for one that is let in. Python's `ssl` cannot be told to leave it; OpenSSL can, so it is asked by the very
function that `ssl` itself is linked with. (nginx keeps none either unless it is told to.)
"""

from __future__ import annotations

import _ssl
import ctypes
import ssl

SET_MODE = 44  # SSL_CTRL_SET_SESS_CACHE_MODE of openssl/ssl.h
GET_MODE = 45
OFF = 0  # SSL_SESS_CACHE_OFF
SERVER = 2  # SSL_SESS_CACHE_SERVER, what OpenSSL begins with


def switch_off(context: ssl.SSLContext) -> bool:
    """False: it could not be, since this Python's `ssl` is built another way than all we know; the cache stays as it is.

    The context's SSL_CTX is the first pointer of the object, from Python 3.2 on; the mode that OpenSSL begins with is asked for
    before anything is changed.
    """
    try:
        control = ctypes.CDLL(_ssl.__file__).SSL_CTX_ctrl
    except (AttributeError, OSError):  # built into the interpreter, or without that function
        return False
    control.argtypes = [ctypes.c_void_p, ctypes.c_int, ctypes.c_long, ctypes.c_void_p]
    control.restype = ctypes.c_long
    pointer = ctypes.c_void_p.from_address(id(context) + object.__basicsize__)
    if control(pointer, GET_MODE, 0, None) != SERVER:
        return False
    control(pointer, SET_MODE, OFF, None)
    return True
