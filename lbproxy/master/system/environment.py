"""The environment of children: what they need to know of ours; the rest is not theirs. Credentials of other programs are kept in
variables."""

from __future__ import annotations

import ctypes
import os
from collections.abc import Mapping

KEPT = frozenset({"LANG", "LANGUAGE", "LD_LIBRARY_PATH", "OPENSSL_CONF", "SSL_CERT_DIR", "SSL_CERT_FILE", "TERM", "TZ", "TZDIR"})
KEPT_PREFIXES = ("COVERAGE_", "GEVENT_", "GLIBC_TUNABLES", "LBPROXY_", "LC_", "MALLOC_", "NO_COLOR", "PYTHON")
"""How interpreter, loop and allocator behave, and how text looks."""
OVERHEAD = bytes.__basicsize__ - 1
"""Where the bytes of a bytes object begin (CPython)."""


def kept(environ: Mapping[str, str]) -> dict[str, str]:
    """Those that children have, too."""
    return {name: value for name, value in environ.items() if name in KEPT or name.startswith(KEPT_PREFIXES)}


def forget_others() -> None:
    """In a forked child: from now on neither we nor a library finds them, also not in memory."""
    left = kept(os.environ)
    libc = ctypes.CDLL(None)
    libc.getenv.restype = ctypes.c_void_p
    for name in [name for name in os.environ if name not in left]:
        value = os.environb[os.fsencode(name)]
        if len(value) > 1:  # one byte is an object that others have, too
            held = libc.getenv(os.fsencode(name))
            if held:
                ctypes.memset(held, 0, len(value))
            ctypes.memset(id(value) + OVERHEAD, 0, len(value))
        del value, os.environ[name]
