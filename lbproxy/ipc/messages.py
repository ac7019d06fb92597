"""What master and children say to each other: a fixed schema, checked on arrival.

Children are unprivileged and talk to hostile bytes all day; the master may be root. So a frame is small, its fields are typed and
bounded, unknown kinds and fields are refused, and nothing in it is ever executed or unpickled. The wire form is in codec.py.
"""

from __future__ import annotations

from typing import NamedTuple


class Ready(NamedTuple):
    """Child -> master: listening (worker) or probing (control); `pid` as the child sees itself."""

    pid: int


class Heartbeat(NamedTuple):
    """Child -> master, every HEARTBEAT_INTERVAL seconds."""

    lag_ms: int  # how late the loop ran its timer
    rss_kib: int
    connections: int
    live_requests: int


class HealthChanged(NamedTuple):
    """Control -> master: a backend's verdict turned."""

    pool: str
    backend: str
    state: str  # "up" | "down"
    why: str  # e.g. "connection refused", "status 503", "2 checks in a row passed"


class Drained(NamedTuple):
    """Worker -> master: nothing left to do after Drain; the process exits next."""

    cut: int  # connections that had to be cut at the limit


class Failed(NamedTuple):
    """Child -> master: cannot go on, and why; the process exits next."""

    reason: str


class Drain(NamedTuple):
    """Master -> child: take no new work, finish what you have within `timeout_ms`, then exit."""

    timeout_ms: int


class Quit(NamedTuple):
    """Master -> child: exit now."""


class ReopenLogs(NamedTuple):
    """Master -> child: the access log was rotated; a fresh descriptor comes with this frame (SCM_RIGHTS)."""


Message = Ready | Heartbeat | HealthChanged | Drained | Failed | Drain | Quit | ReopenLogs

HEARTBEAT_INTERVAL = 0.5
SILENCE_LIMIT = 5.0
"""Seconds without a heartbeat after which the master replaces a child."""
