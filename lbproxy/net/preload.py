"""Loads what gevent and the standard library otherwise load at first use, while the process may still read their files."""

from __future__ import annotations

import encodings.idna  # noqa: F401 (server names of TLS and hosts are encoded with it)

from gevent.hub import get_hub


def preload() -> None:
    """Call before privileges are dropped: the account they drop to may not be able to read the interpreter's library."""
    hub = get_hub()  # imports the loop, and the modules named in gevent's configuration
    hub.loop.io(0, 1).close()
    hub.loop.timer(0).close()
