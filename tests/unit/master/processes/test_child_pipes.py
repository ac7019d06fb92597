"""The master's ends of its children's pipes: what comes is told to the fleet, what is to be said arrives, the dead are settled."""

from __future__ import annotations

import selectors
import socket
from collections.abc import Iterator

import pytest

from lbproxy.balance.ledger import SIZE, Ledger, Scalar, scalar_at
from lbproxy.balance.slots import SlotTable
from lbproxy.ipc.messages import Drained, Quit, Ready, Resolved, Serve
from lbproxy.ipc.pipe import ChildPipe, MasterPipe, socket_pair
from lbproxy.master.fleet import events
from lbproxy.master.fleet.child import Role
from lbproxy.master.processes.child_pipes import ChildPipes
from lbproxy.master.processes.spawn import Running
from lbproxy.master.resources.shared import MasterResources
from tests.unit.balance.locks import Lock


class Family:
    """A worker in row 0, control in row 190, and what the fleet is told."""

    def __init__(self) -> None:
        self.ledger = Ledger(bytearray(SIZE))
        self.ledger.open_row(0)
        self.told: list[events.Event] = []
        self.resolved: list[Resolved] = []
        self.selector = selectors.DefaultSelector()
        self.sockets: list[socket.socket] = []
        self.worker, worker = self.pair(0, 3, Role.WORKER, 4711)
        self.control, control = self.pair(190, 4, Role.CONTROL, 4712)
        shared = MasterResources(self.ledger, Lock(), SlotTable(), None, None)
        self.pipes = ChildPipes(self.selector, [worker], shared, self.told.append, {Role.CONTROL: self.resolved.append})
        self.pipes.watch_all()
        self.pipes.add(control)

    def pair(self, row: int, generation: int, role: Role, pid: int) -> tuple[ChildPipe, Running]:
        ours, theirs = socket_pair()
        self.sockets += [ours, theirs]
        return ChildPipe(theirs), Running(row, generation, role, pid, MasterPipe(ours))

    def turn(self) -> list[events.Event]:
        """What one look at the selector tells."""
        self.told.clear()
        for key, mask in self.selector.select(5.0):
            key.data(mask)
        return self.told


@pytest.fixture
def family() -> Iterator[Family]:
    made = Family()
    yield made
    made.pipes.close()
    made.selector.close()
    for sock in made.sockets:
        sock.close()


def test_what_children_say_is_told(family: Family) -> None:
    """With their row; names that control learned go their own way, and are a breach when a worker says so."""
    family.worker.send(Ready(4711, "", ""))
    assert family.turn() == [events.Said(0, Ready(4711, "", ""))]
    family.control.send(Resolved("app.test", "10.0.0.1"))
    assert family.turn() == []
    assert family.resolved == [Resolved("app.test", "10.0.0.1")]
    family.worker.send(Resolved("app.test", "10.0.0.1"))
    assert family.turn() == [events.Said(0, Resolved("app.test", "10.0.0.1"))]


def test_what_is_to_be_said_arrives(family: Family) -> None:
    """To one, to a generation, to all; to one that could not be forked nothing is said."""
    family.pipes.tell(0, Serve())
    family.pipes.tell(17, Serve())
    family.pipes.tell_generation(4, Serve())
    family.pipes.tell_all(Quit())
    assert (family.worker.receive(), family.control.receive()) == ([Serve(), Quit()], [Serve(), Quit()])


def test_the_end_of_a_pipe_and_nonsense(family: Family) -> None:
    """Are told once; what they are is the fleet's to judge."""
    family.worker.close()
    assert family.turn() == [events.PipeEnded(0)]
    family.sockets[3].send(b"\xff" * 64)
    [broken] = family.turn()
    assert isinstance(broken, events.PipeBroken)
    assert broken.row == 190
    assert not family.selector.get_map()


def test_the_dead_are_settled(family: Family, monkeypatch: pytest.MonkeyPatch) -> None:
    """Their last words come before their death, their counts are kept, and nobody has their row to add up; strangers are reaped."""
    family.ledger.cells[scalar_at(0, Scalar.REQUESTS)] = 7
    family.worker.send(Drained(0))
    ends = iter([(99, 0), (4711, 9), (0, 0)])
    monkeypatch.setattr("lbproxy.master.processes.child_pipes.os.waitpid", lambda pid, flags: next(ends))
    family.pipes.reap()
    assert family.told == [events.Said(0, Drained(0)), events.Died(0, 9)]
    assert list(family.pipes.running) == [190]
    assert (family.ledger.total(Scalar.REQUESTS), family.ledger.children) == (7, 0)
