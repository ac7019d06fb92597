"""A fleet on a stage: its clock is a script, and its actions are written down instead of carried out."""

from __future__ import annotations

import signal
from collections.abc import Sequence

from lbproxy.balance.ledger import RETIRED
from lbproxy.ipc.messages import Heartbeat, Message, Ready, Serve
from lbproxy.master.fleet import events
from lbproxy.master.fleet.child import Child
from lbproxy.master.fleet.events import Event, FleetTerms, Prepared, Said, Spawned, TimePassed
from lbproxy.master.fleet.fleet import Fleet

BEAT = Heartbeat(0, 1000, 0, 0)
KILLED, ABORTED = int(signal.SIGKILL), int(signal.SIGABRT)

CONTROL = RETIRED - 1
"""The row of the (only) control process."""


def exited(code: int) -> int:
    """The wait status of a process that exited by itself."""
    return code << 8


class Play:
    """A fleet, its clock, and everything it has asked for."""

    def __init__(self, workers: int = 2, drain_timeout: float = 30.0) -> None:
        self.terms = FleetTerms(workers, drain_timeout)
        self.fleet = Fleet()
        self.now = 1000.0
        self.pid = 100
        self.spawned: list[events.Spawn] = []
        self.sent: list[tuple[int, Message]] = []
        """All but Serve."""
        self.accepting: list[int] = []
        """Slots that were told to Serve, in order."""
        self.told_to_serve: list[tuple[int, int]] = []
        """The same with the generation."""
        self.drains: list[events.TellDrain] = []
        self.refuse = ""
        """Why the next configuration cannot be prepared; "": it can."""
        self.prepared: list[int] = []
        self.rejected: list[tuple[int, str]] = []
        self.forgotten: list[int] = []
        self.kills: list[tuple[int, int]] = []
        self.logs: list[tuple[str, dict[str, events.Fact]]] = []
        self.exit: events.Exit | None = None
        self.serving: list[int] = []
        self.listening = True

    def do(self, *happenings: Event) -> Play:
        for event in happenings:
            for action in self.fleet.handle(event, self.now):
                self._carry_out(action)
        return self

    def _carry_out(self, action: events.Action) -> None:
        assert self.exit is None, f"{action} after Exit"
        match action:
            case events.Spawn():
                assert self.listening, "a child is started that cannot listen"
                self.spawned.append(action)
                self.pid += 1
                self.do(Spawned(action.row, self.pid))
            case events.Send(row, Serve()):
                self.accepting.append(row)
                self.told_to_serve.append((row, self.child(row).generation))
            case events.Send(row, message):
                self.sent.append((row, message))
            case events.TellDrain():
                self.drains.append(action)
            case events.Prepare(number):
                self.prepared.append(number)
                self.do(events.PrepareFailed(number, self.refuse) if self.refuse else Prepared(number, self.terms))
            case events.Rejected(number, why):
                self.rejected.append((number, why))
            case events.Forget(number):
                self.forgotten.append(number)
            case events.Kill(row, number):
                self.kills.append((row, number))
            case events.Log(_, name, fields):
                self.logs.append((name, fields))
            case events.Serving(generation, _):
                self.serving.append(generation)
            case events.StopListening():
                self.listening = False
            case events.Exit():
                self.exit = action

    def start(self) -> Play:
        """Up and Ready."""
        return self.begin().all_say(Ready(7))

    def begin(self) -> Play:
        """The first generation is forked."""
        return self.do(Prepared(1, self.terms))

    def all_say(self, message: Message) -> Play:
        for child in list(self.fleet.living()):
            self.do(Said(child.row, message))
        return self

    def wait(self, seconds: float, beating: Sequence[int] | None = None) -> Play:
        """Let time pass in half seconds; the children in the `beating` rows (None: all) send heartbeats."""
        end = self.now + seconds
        while self.now < end:
            self.now = min(self.now + 0.5, end)
            for child in list(self.fleet.living()):
                if beating is None or child.row in beating:
                    self.do(Said(child.row, BEAT))
            self.do(TimePassed())
        return self

    def child(self, row: int) -> Child:
        return next(child for child in self.fleet.living() if child.row == row)

    def names(self) -> list[str]:
        return [name for name, _ in self.logs]

    def logged(self, name: str) -> list[dict[str, events.Fact]]:
        return [fields for logged, fields in self.logs if logged == name]
