"""Bounds of what one connection of HTTP/2 may make us hold or do at once; what it may do over time is for floods.py to say."""

from __future__ import annotations

from typing import NamedTuple

ANSWERS = 256
"""Acknowledgements of SETTINGS and PING that may wait to be fetched by a peer that reads nothing."""
LONGEST_SENT = 1024 * 1024
"""Bytes of a list of fields that leaves, beyond what any limit of ours lets through."""
LARGEST_FRAME = 16 * 1024
"""Bytes that a peer may put into one (SETTINGS_MAX_FRAME_SIZE): what RFC 9113 begins with."""
RESETS = 300
"""Requests that a client may give up at once: a browser whose page is closed gives up some hundred. Of a read that has more of them
the rest is not looked at."""
UNLIMITED = 1 << 40
"""Of what libnghttp2 would count and floods.py does."""


class Bounds(NamedTuple):
    """What one connection may make us hold or do. What is the same for all stands above."""

    streams: int = 128
    """At once (SETTINGS_MAX_CONCURRENT_STREAMS); more are refused."""
    list_size: int = 64 * 1024
    """Bytes of one list of fields, each counted with 32 more (RFC 9113 6.5.2). Beyond it the connection ends: what a client may
    have answered with 431 has to stand well below."""
    list_count: int = 256
    """Fields of one list. Beyond it the same."""
    continuations: int = 8
    """Frames that one list may be continued in."""
    window: int = 64 * 1024 - 1
    """Bytes that a new stream may send before somebody takes them."""
    glitches: tuple[int, int] = (1000, 50)
    """At once, and per second: frames that a sound peer sends rarely or never (of unknown types, PRIORITY, empty DATA, what is
    malformed)."""


USUAL = Bounds()
