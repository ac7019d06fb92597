"""The limit of open descriptors: raised as far as it goes, and compared with what the configuration promises."""

from __future__ import annotations

import resource

RESERVE = 64
"""Listeners, pipe, log, event loop, and idle backend connections' bookkeeping."""
PER_CONNECTION = 2
"""The client's and its backend's."""


def wanted(connections: int) -> int:
    """Descriptors that a worker with so many connections needs."""
    return connections * PER_CONNECTION + RESERVE


def raise_limit(need: int) -> int:
    """Raise this process's limit to its hard limit, and (as root) that to `need`; return what it is now."""
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for goal in (max(need, hard), hard):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (goal, goal))
        except (ValueError, OSError):  # over the hard limit without the privilege, or over fs.nr_open
            continue
        break
    return resource.getrlimit(resource.RLIMIT_NOFILE)[0]


def shortage(connections: int, limit: int) -> str:
    """What to warn of, in words; "" when `limit` is enough. Like nginx, lbproxy starts nevertheless."""
    if limit >= wanted(connections):
        return ""
    possible = max(0, (limit - RESERVE) // PER_CONNECTION)
    return (
        f"connections_per_worker = {connections} needs {wanted(connections)} open files, the limit is {limit}: "
        f"about {possible} connections will work (raise it: LimitNOFILE= in the systemd unit, ulimit -n)"
    )
