"""Nobody is served before it is known who can serve; within limits."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, cast

import gevent
from gevent.hub import get_hub

from lbproxy.balance.ledger import HealthState, SlotState, state_at
from lbproxy.config import model
from lbproxy.ipc.handover import Handover
from lbproxy.worker.first_round import IMPORTS, FirstRound, longest
from tests.unit.config.text import LEAST, read
from tests.unit.control.backends import new_ledger


class Round:
    """Two backends of a pool that is checked, on a clock of the test's own."""

    def __init__(self, generation: int = 1, text: str = LEAST) -> None:
        self.ledger = new_ledger()
        self.now = 0.0
        self.told: list[float] = []
        backends = {"app": [SimpleNamespace(slot=0), SimpleNamespace(slot=1)]}
        handover: Any = SimpleNamespace(config=read(text), backends=backends, ledger=self.ledger, generation=generation)
        FirstRound(cast(Handover, handover), get_hub().loop, lambda: self.now, lambda: self.told.append(self.now)).start()

    def turn(self, health: dict[int, HealthState] | None = None, now: float = 0.0) -> list[float]:
        for slot, value in (health or {}).items():
            self.ledger.cells[state_at(SlotState.HEALTH, slot)] = value
        self.now = now
        gevent.sleep(0.05)
        return self.told


def test_it_is_over_when_every_backend_was_checked() -> None:
    """Up or down; once."""
    found = Round()
    assert found.turn() == []
    assert found.turn({0: HealthState.UP}, 0.1) == []
    assert found.turn({1: HealthState.DOWN}, 0.2) == [0.2]
    assert found.turn({}, 0.3) == [0.2]


def test_it_takes_no_longer_than_a_check() -> None:
    found = Round(text=LEAST + 'health = { timeout = "2s" }')
    assert found.turn({0: HealthState.UP}, 2.0) == []
    assert found.turn({}, 2.2 + IMPORTS) == [2.2 + IMPORTS]


def test_who_need_not_wait() -> None:
    """Without checks, and where an older generation serves."""
    assert Round(text=LEAST + 'health = { type = "off" }').turn() == [0.0]
    assert Round(generation=2).turn() == [0.0]


def test_very_long_checks_are_not_waited_for() -> None:
    assert longest(read(LEAST + 'health = { timeout = "1m" }')) == 5.0
    assert longest(read(LEAST + 'health = { type = "off" }')) == 0.0
    assert model.HealthConfig().timeout < longest(read(LEAST)) < 3.0
