"""Events, which happen to the fleet, and actions, which the fleet wants done about them. Values only."""

from __future__ import annotations

import signal
from typing import Literal, NamedTuple

from lbproxy.ipc.messages import Message
from lbproxy.master.fleet.child import Role


class FleetTerms(NamedTuple):
    """What the fleet has to know of a configuration."""

    workers: int
    drain_timeout: float = 30.0
    """Seconds."""
    tunnel_timeout: float = 3600.0
    memory: int = 0
    """KiB of a worker's resident memory above which it is replaced, one worker at a time; 0: no matter how much."""
    memory_hard: int = 0
    """KiB above which it stops accepting at once; 0: never."""
    requests: int = 0
    """After how many a worker is replaced; 0: never."""
    acme: bool = False
    """Whether a process obtains certificates."""


# ---------------------------------------------------------------- events


class Prepared(NamedTuple):
    """What generation `number` inherits is opened: bring it to life. The first comes unasked; others answer a Prepare."""

    number: int
    terms: FleetTerms


class PrepareFailed(NamedTuple):
    """A Prepare could not be carried out: the configuration is refused, or what it names cannot be had."""

    number: int
    why: str


class ReloadWanted(NamedTuple):
    """A signal or an operator asks for a new generation."""


class Scale(NamedTuple):
    """An operator wants one worker more (+1) or less (-1)."""

    delta: int


class Spawned(NamedTuple):
    """A Spawn was carried out."""

    row: int
    pid: int


class SpawnFailed(NamedTuple):
    """A Spawn could not be carried out (no memory, no process left)."""

    row: int
    why: str


class Said(NamedTuple):
    """A message of a child has come over its pipe."""

    row: int
    message: Message


class PipeEnded(NamedTuple):
    """A child closed its end."""

    row: int


class PipeBroken(NamedTuple):
    """A child sent what no child of ours sends, or does not read what is sent to it."""

    row: int
    why: str


class Died(NamedTuple):
    """A child was reaped; `status` as waitpid tells it. Comes after everything it said."""

    row: int
    status: int


class Terminate(NamedTuple):
    """A signal asks the whole of lbproxy to go."""

    signal: str


class TimePassed(NamedTuple):
    """Time passed; at least one a second."""


Asked = Prepared | PrepareFailed | ReloadWanted | Scale | Terminate
Happened = Spawned | SpawnFailed | Said | PipeEnded | PipeBroken | Died | TimePassed
Event = Asked | Happened

# ---------------------------------------------------------------- actions

Level = Literal["debug", "info", "warning", "error"]
Fact = str | int | float


class Spawn(NamedTuple):
    """Fork a child into the row; answer with Spawned or SpawnFailed."""

    generation: int
    role: Role
    worker: int
    row: int


class Send(NamedTuple):
    row: int
    message: Message


class TellDrain(NamedTuple):
    """Send a Drain with these limits (seconds) to a worker; which of its listeners close for good is the shell's to know."""

    row: int
    timeout: float
    idle: float
    tunnel: float


class Prepare(NamedTuple):
    """Read and check the configuration and open all that generation `number` needs; answer with Prepared or PrepareFailed."""

    number: int


class Rejected(NamedTuple):
    """The reload that should have made generation `number` is over; who serves goes on serving."""

    number: int
    why: str


class Forget(NamedTuple):
    """Nobody of the generation is left: close what only it had."""

    number: int


class Kill(NamedTuple):
    row: int
    signal: signal.Signals


class Log(NamedTuple):
    level: Level
    event: str
    fields: dict[str, Fact]


class Serving(NamedTuple):
    """All workers of the generation are Ready for the first time: what it does not listen on is served no more. Comes before the
    drains of those it takes over from."""

    generation: int
    milliseconds: int


class StopListening(NamedTuple):
    """Close the master's copies of the listening sockets: no child will be started any more that could accept from them."""


class Exit(NamedTuple):
    """Nothing is left to do; the last action there is."""

    code: int
    reason: str


Action = Spawn | Send | TellDrain | Kill | Log | Prepare | Serving | Rejected | Forget | StopListening | Exit
