"""The life of one child as the master sees it. Everything that can change a child's phase is in this file's table.

    STARTING --Ready--> SERVING --Drain sent--> DRAINING --Drained--> LEAVING --> (reaped)

and, whenever the phase's time is up, one step harder: ask, SIGABRT (faulthandler writes the stack to stderr), SIGKILL. A pair that
is missing from MOVES changes nothing: a child that repeats itself, or says something late, must not be able to upset the master.
"""

from __future__ import annotations

import signal
from dataclasses import dataclass, field
from enum import Enum

from lbproxy.ipc.messages import SILENCE_LIMIT, Heartbeat, Ready

FOREVER = float("inf")


class Role(Enum):
    """What a child is for; the value is its name in logs."""

    WORKER = "worker"
    CONTROL = "control"
    ACME = "acme"


class Phase(Enum):
    STARTING = "starting"  # forked, has not said Ready
    SERVING = "serving"
    DRAINING = "draining"  # told to finish what it has
    LEAVING = "leaving"  # said goodbye or was told to go at once; its process ends by itself any moment
    ABORTED = "aborted"  # hung: SIGABRT was sent
    KILLED = "killed"  # SIGKILL was sent


class Cue(Enum):
    """What can happen to a child."""

    READY = "it said Ready"
    DRAIN = "it is told to drain"
    FAREWELL = "it said Failed or Drained, closed its pipe, or is told to quit"
    OVERDUE = "its phase took too long"
    KILL = "it has to go now"


MOVES: dict[tuple[Phase, Cue], Phase] = {
    (Phase.STARTING, Cue.READY): Phase.SERVING,
    (Phase.STARTING, Cue.DRAIN): Phase.DRAINING,  # reads it from the pipe once it is up
    (Phase.STARTING, Cue.FAREWELL): Phase.LEAVING,
    (Phase.STARTING, Cue.OVERDUE): Phase.ABORTED,
    (Phase.STARTING, Cue.KILL): Phase.KILLED,
    (Phase.SERVING, Cue.DRAIN): Phase.DRAINING,
    (Phase.SERVING, Cue.FAREWELL): Phase.LEAVING,
    (Phase.SERVING, Cue.OVERDUE): Phase.ABORTED,
    (Phase.SERVING, Cue.KILL): Phase.KILLED,
    (Phase.DRAINING, Cue.DRAIN): Phase.DRAINING,  # asked to hurry
    (Phase.DRAINING, Cue.FAREWELL): Phase.LEAVING,
    (Phase.DRAINING, Cue.OVERDUE): Phase.KILLED,
    (Phase.DRAINING, Cue.KILL): Phase.KILLED,
    (Phase.LEAVING, Cue.OVERDUE): Phase.KILLED,
    (Phase.LEAVING, Cue.KILL): Phase.KILLED,
    (Phase.ABORTED, Cue.OVERDUE): Phase.KILLED,
    (Phase.ABORTED, Cue.KILL): Phase.KILLED,
}

LIMITS: dict[Phase, float] = {
    Phase.STARTING: 20.0,  # imports, a gevent hub, a trial of every probe: about a second on a busy machine
    Phase.SERVING: SILENCE_LIMIT,  # pushed on by every heartbeat
    Phase.DRAINING: FOREVER,  # the caller of `move` knows the drain's own limit
    Phase.LEAVING: 5.0,  # a worker may need two for the rest of its access log
    Phase.ABORTED: 1.0,  # for faulthandler to write a few dozen lines
    Phase.KILLED: FOREVER,  # the kernel does not need asking twice
}
"""Seconds a child may stay in a phase."""

SIGNALS: dict[Phase, signal.Signals] = {Phase.ABORTED: signal.SIGABRT, Phase.KILLED: signal.SIGKILL}
"""What is sent to a child that enters the phase."""


NO_BEAT = Heartbeat(0, 0, 0, 0)
SLOW_MS = 500
"""Lag of a loop that turns slowly: what everybody waits there. It is told, and lives: replacing it would cut its connections, and
the load that made it slow would come to the next one."""
TOLD_AGAIN = 10.0
"""Seconds between two words about it."""


@dataclass(slots=True)
class Child:
    """A living (or not yet reaped) process in a row of the ledger."""

    row: int
    generation: int
    role: Role
    worker: int
    """0-based; -1 for control."""
    born: float
    pid: int = 0  # 0 until the fork has happened
    phase: Phase = Phase.STARTING
    deadline: float = FOREVER
    ready_at: float = FOREVER
    reason: str = ""
    """Why it goes, in its own words or the master's."""
    beat: Heartbeat = NO_BEAT
    """The last one."""
    slow_told: float = -FOREVER
    form: str = ""
    """Compiled or pure, as it said itself."""
    walls: list[str] = field(default_factory=list)
    """Those that stand around it, likewise."""

    def __post_init__(self) -> None:
        self.deadline = self.born + LIMITS[Phase.STARTING]

    @property
    def was_ready(self) -> bool:
        return self.ready_at < FOREVER

    def lived(self, now: float) -> float:
        """Seconds since Ready; 0 when it never was."""
        return now - self.ready_at if self.was_ready else 0.0

    def ready(self, said: Ready, now: float) -> bool:
        """It said Ready; False when it may not, or no more."""
        if self.move(Cue.READY, now) is None:
            return False
        self.form = said.form
        self.walls = said.walls.split()
        return True

    def heard(self, beat: Heartbeat, now: float) -> bool:
        """A heartbeat came; whether it says something to be told: that the child's loop turns slowly."""
        self.beat = beat
        if self.phase is Phase.SERVING:
            self.deadline = now + SILENCE_LIMIT
        if beat.lag_ms < SLOW_MS or now < self.slow_told + TOLD_AGAIN:
            return False
        self.slow_told = now
        return True

    def move(self, cue: Cue, now: float, limit: float | None = None) -> Phase | None:
        """Make the step that `cue` asks for and return the new phase; None when it changes nothing. `limit` in seconds: a drain's;
        one that is asked to hurry keeps the nearer of its limits."""
        phase = MOVES.get((self.phase, cue))
        if phase is None:
            return None
        deadline = now + (LIMITS[phase] if limit is None else limit)
        self.deadline = min(self.deadline, deadline) if phase is self.phase else deadline
        self.phase = phase
        if cue is Cue.READY:
            self.ready_at = now
        return phase
