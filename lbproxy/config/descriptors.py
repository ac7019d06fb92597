"""The cost of connections in open files."""

from __future__ import annotations

RESERVE = 64
"""Listeners, pipe, log, event loop, and idle backend connections' bookkeeping."""
PER_CONNECTION = 2
"""The client's and its backend's."""


def wanted(connections: int) -> int:
    """Descriptors that a worker with so many connections needs."""
    return connections * PER_CONNECTION + RESERVE


def possible(limit: int) -> int:
    """Connections that a worker with so many descriptors can have."""
    return max(1, (limit - RESERVE) // PER_CONNECTION)
