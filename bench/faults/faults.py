"""The faults, each befalling one of the three backends; a table."""

from __future__ import annotations

import time
from collections.abc import Callable
from signal import SIGCONT, SIGSTOP, SIGTERM
from typing import NamedTuple

from bench.faults.crew import Crew

RESTART_SECONDS = 0.5
"""How long a restarted backend is away, and then as long as it takes to start."""


class Fault(NamedTuple):
    name: str
    what: str
    """For people."""
    victim: int
    """Its index among the backends."""
    begin: Callable[[Crew], None]
    end: Callable[[Crew], None]
    seconds: float | None = None
    """How long it lasts; None: as the run says."""


APP, NGINX = 0, 1


def _mood(name: str, what: str) -> Fault:
    return Fault(name, what, APP, lambda crew: crew.app.mood(name), lambda crew: crew.app.mood("well"))


def _restart(crew: Crew) -> None:
    crew.servers[NGINX].signal(SIGTERM)
    time.sleep(RESTART_SECONDS)
    crew.servers[NGINX].stop()
    crew.servers[NGINX].start()


FAULTS = (
    Fault(
        "stopped",
        "SIGSTOP: its kernel accepts connections, and nobody answers",
        NGINX,
        lambda crew: crew.servers[NGINX].signal(SIGSTOP),
        lambda crew: crew.servers[NGINX].signal(SIGCONT),
    ),
    Fault(
        "killed",
        "SIGKILL: connections are refused",
        NGINX,
        lambda crew: crew.servers[NGINX].kill(),
        lambda crew: crew.servers[NGINX].start(),
    ),
    Fault("restarted", "SIGTERM, and started again half a second later", NGINX, _restart, lambda crew: None, 0.0),
    _mood("slow", "answers after 200 ms"),
    _mood("500", "answers 500 at once, to everything"),
    _mood("500-hidden", "answers 500 at once, to everything but the health check"),
    _mood("reset", "resets connections instead of answering"),
    _mood("cut", "resets connections in the middle of its answers"),
    _mood("mute", "accepts and says nothing"),
)
NAMES = tuple(fault.name for fault in FAULTS)
