"""The end of a reload: who is waited for, and how long."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any, cast

import pytest

from lbproxy.balance.ledger import SIZE, Ledger, Scalar, scalar_at
from lbproxy.config.plan import Plan
from lbproxy.master import settlement
from lbproxy.master.fleet.child import FOREVER, Role
from lbproxy.master.fleet.events import Serving
from lbproxy.master.settlement import Settlement

OLD, NEW, CONTROL = 1, 2, 3


class Stage:
    """A worker of generation 1 that accepts, one of generation 2, and control; and what was told."""

    def __init__(self) -> None:
        self.ledger = Ledger(bytearray(SIZE))
        self.told: list[int] = []
        running: dict[int, Any] = {
            OLD: SimpleNamespace(row=OLD, role=Role.WORKER, generation=1),
            NEW: SimpleNamespace(row=NEW, role=Role.WORKER, generation=2),
            CONTROL: SimpleNamespace(row=CONTROL, role=Role.CONTROL, generation=1),
        }
        plan = cast(Plan, SimpleNamespace(changes=(), restart=()))
        self.plans = {2: plan}
        operator = SimpleNamespace(reload_served=lambda number, plan, took: self.told.append(number))
        self.settlement = Settlement(self.ledger, running, cast(Any, SimpleNamespace(plans=self.plans)), cast(Any, operator))
        for row in running:
            self.accepts(row, True)

    def accepts(self, row: int, whether: bool) -> None:
        self.ledger.cells[scalar_at(row, Scalar.ACCEPTING)] = int(whether)


@pytest.fixture
def stage(monkeypatch: pytest.MonkeyPatch) -> Stage:
    monkeypatch.setattr(settlement, "PATIENCE", 3600.0)
    monkeypatch.setattr(settlement, "lines", lambda plan: [])
    return Stage()


def test_older_workers_that_accept_are_waited_for(stage: Stage) -> None:
    """Not the new ones, nor others than workers; it is told once."""
    stage.settlement.look()
    assert stage.settlement.next_deadline() == FOREVER
    stage.settlement.begin(Serving(2, 17))
    stage.settlement.look()
    assert (stage.told, list(stage.plans)) == ([], [2])
    assert stage.settlement.next_deadline() <= time.monotonic() + settlement.LOOK
    stage.accepts(OLD, False)
    stage.settlement.look()
    stage.settlement.look()
    assert (stage.told, list(stage.plans)) == ([2], [])
    assert stage.settlement.next_deadline() == FOREVER


@pytest.mark.parametrize("why", ["another reload serves", "its time is over"])
def test_it_is_told_while_they_accept(why: str, stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    """Where nobody can wait any longer."""
    if why == "its time is over":
        monkeypatch.setattr(settlement, "PATIENCE", 0.0)
    stage.settlement.begin(Serving(2, 17))
    stage.settlement.look(patient=why == "its time is over")
    assert stage.told == [2]
