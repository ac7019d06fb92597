"""Slow start: the share of its weight that a backend gets after an outage, while caches and pools of connections fill. Pure."""

from __future__ import annotations

FLOOR = 10
"""Percent to begin with: enough to warm up by."""


def share(left: float, whole: float) -> int:
    """Percent of the weight with `left` of `whole` seconds to go: from FLOOR to 100 in a straight line."""
    return 100 - round((100 - FLOOR) * max(0.0, min(1.0, left / whole)))
