"""TLS for clients that read and write one connection from two threads, as websockets' synchronous client does.

Python 3.11 lets them: `SSLSocket` has no lock. With TLS 1.3 a server's session tickets arrive behind the handshake, and while one
thread reads them the other's write is told to wait for input, which the first thread has taken: about one handshake in 400 then
stands still until the server gives up (measured with plain sockets beside it: none in 2,829). TLS 1.2 has its tickets inside the
handshake.
"""

from __future__ import annotations

import ssl
from pathlib import Path


def context(ca: Path) -> ssl.SSLContext:
    """Trusts `ca`, and speaks TLS 1.2."""
    made = ssl.create_default_context(cafile=str(ca))
    made.maximum_version = ssl.TLSVersion.TLSv1_2
    return made
