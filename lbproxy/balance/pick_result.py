"""The results of a pick other than a backend's index: the numbers that stand for "nobody", and what they are told as.

Inside balance/ a pick is a number, so that compiled it stays one: 0 and above is the index of a backend, below is one of these.
"""

from __future__ import annotations

from typing import NamedTuple

NO_BACKEND = -1
"""No backend may take the request."""
POOL_FULL = -2
"""Those that may are at their limits."""
LOOK_CLOSER = -3
"""The everyday pick does not suffice (fast_pick.py): selection.py has to look. Never leaves the pool."""
ASK_MORE = -4
"""It depends on the request's kind or key, which was not told."""


class NoneAvailable(NamedTuple):
    """Why no backend could take the request."""

    reason: str  # "no_backend" | "pool_full" | "ask"; of proxy/queue.py also "queue_full" | "queue_timeout"


ASK = NoneAvailable("ask")
"""Whoever gets it asks again with the request's preference: where it goes depends on what it is."""
TOLD_AS = {NO_BACKEND: NoneAvailable("no_backend"), POOL_FULL: NoneAvailable("pool_full"), ASK_MORE: ASK}
"""What the users of a pool get for these numbers."""
