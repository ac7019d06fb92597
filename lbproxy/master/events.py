"""What happens to the fleet (events), and what the fleet wants done about it (actions). Values only."""

from __future__ import annotations

import signal
from typing import Literal, NamedTuple

from lbproxy.ipc.messages import Message
from lbproxy.master.child import Role

# ---------------------------------------------------------------- events


class Start(NamedTuple):
    """Bring the first generation to life."""


class Spawned(NamedTuple):
    """A Spawn was carried out."""

    slot: int
    pid: int


class SpawnFailed(NamedTuple):
    """A Spawn could not be carried out (no memory, no process left)."""

    slot: int
    why: str


class Said(NamedTuple):
    """A child's message."""

    slot: int
    message: Message


class PipeEnded(NamedTuple):
    """A child closed its end."""

    slot: int


class PipeBroken(NamedTuple):
    """A child sent what no child of ours sends, or does not read what is sent to it."""

    slot: int
    why: str


class Died(NamedTuple):
    """A child was reaped; `status` as waitpid tells it. Comes after everything it said."""

    slot: int
    status: int


class Terminate(NamedTuple):
    """A signal asks the whole of lbproxy to go."""

    signal: str


class Tick(NamedTuple):
    """Time passed; at least one a second."""


Event = Start | Spawned | SpawnFailed | Said | PipeEnded | PipeBroken | Died | Terminate | Tick

# ---------------------------------------------------------------- actions

Level = Literal["debug", "info", "warning", "error"]
Fact = str | int | float


class Spawn(NamedTuple):
    """Fork a child into the slot; answer with Spawned or SpawnFailed."""

    generation: int
    role: Role
    worker: int
    slot: int


class Send(NamedTuple):
    slot: int
    message: Message


class Kill(NamedTuple):
    slot: int
    signal: signal.Signals


class Log(NamedTuple):
    level: Level
    event: str
    fields: dict[str, Fact]


class Serving(NamedTuple):
    """All workers of the generation are Ready for the first time."""

    generation: int


class StopListening(NamedTuple):
    """Close the master's copies of the listening sockets: no child will be started any more that could accept from them."""


class Exit(NamedTuple):
    """Nothing is left to do; the last action there is."""

    code: int
    reason: str


Action = Spawn | Send | Kill | Log | Serving | StopListening | Exit
