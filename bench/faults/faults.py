"""The faults, each befalling one of the three backends; a table."""

from __future__ import annotations

import time
from collections.abc import Callable
from signal import SIGCONT, SIGSTOP, SIGTERM
from typing import NamedTuple

from bench.faults.crew import Crew

RESTART_SECONDS = 0.5
"""How long a restarted backend is away, and then as long as it takes to start."""
GRACE_SECONDS = 2.0
"""Between an address' leaving the answer and its backend's end: the time to live, and as much again for asking."""
GONE_SECONDS = 2.0


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
    named: bool = False
    """Whether the proxies know the backends by a name, and ask a name server."""


APP, NGINX = 0, 1


def _mood(name: str, what: str) -> Fault:
    return Fault(name, what, APP, lambda crew: crew.app.mood(name), lambda crew: crew.app.mood("well"))


def _restart(crew: Crew) -> None:
    crew.servers[NGINX].signal(SIGTERM)
    time.sleep(RESTART_SECONDS)
    crew.servers[NGINX].stop()
    crew.servers[NGINX].start()


def _leave(crew: Crew) -> None:
    crew.announce([server for server in crew.servers if server is not crew.servers[NGINX]])
    time.sleep(GRACE_SECONDS)
    crew.servers[NGINX].kill()


def _return(crew: Crew) -> None:
    crew.servers[NGINX].start()
    crew.announce(crew.servers)


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
    Fault("dns", "its address leaves the DNS answer, and it is killed 2 s later", NGINX, _leave, _return, GONE_SECONDS, named=True),
)
NAMES = tuple(fault.name for fault in FAULTS)
