"""The offer of HTTP/2: whether it can be spoken here. Apart from the engine, which the master, who asks, does not load."""

from __future__ import annotations

MISSING = ""
"""Why not; "" where it can be."""
try:
    import ngh2

    ngh2.Connection  # noqa: B018  # an empty folder of that name on the path can be imported, too
except (ImportError, AttributeError) as _why:
    MISSING = f"HTTP/2 is not offered: {_why}"
