"""Where a process with rules has ended, another one takes its place, as soon as it has loaded them; what it cannot load is told."""

from __future__ import annotations

import time
from types import SimpleNamespace
from typing import Any

import pytest
from structlog.testing import capture_logs

from lbproxy.balance.ledger import Header
from lbproxy.errors import StartError
from lbproxy.master.watches import rules
from lbproxy.master.watches.rules import AGAIN_AFTER, RuleWatch


class Process:
    """As InspectionProcess."""

    def __init__(self) -> None:
        self.told = [(2, 0, 0)]
        self.why = ""
        self.before: object = None

    def heard(self) -> tuple[int, int, int]:
        return self.told.pop(0) if len(self.told) > 1 else self.told[0]

    def forget_ended(self) -> None:
        pass

    def fault(self, _: float) -> str:
        return self.why

    def succeed(self, other: object) -> None:
        self.before = other


class Load:
    """As Loading; its rules are `fit` or not."""

    made: list[Load]
    late = "late"

    def __init__(self, config: object, account: object) -> None:
        self.of = config, account
        self.until = time.monotonic() + 1000
        self.ready = self.fit = self.closed = False
        self.process = Process()
        self.made.append(self)

    def done(self) -> Process:
        if not self.fit:
            raise StartError("nonsense in line 1")
        return self.process

    def close(self) -> None:
        self.closed = True

    close_in_child = close


class Scene:
    """A master with one generation."""

    def __init__(self) -> None:
        self.old = Process()
        self.resources: Any = SimpleNamespace(config="config", inspectors=self.old)
        self.all: dict[int, Any] = {1: self.resources}
        self.cells = [0] * 64
        shared: Any = SimpleNamespace(account="account", ledger=SimpleNamespace(cells=self.cells))
        self.watch = RuleWatch(self.all, lambda: (1, self.resources), shared)

    def look(self, now: float = 0.0) -> list[str]:
        with capture_logs() as logged:
            self.watch.look(now)
        return [each["event"] for each in logged]

    def counted(self) -> list[int]:
        return self.cells[Header.INSPECTORS : Header.INSPECTORS + 3]


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Scene:
    Load.made = []
    monkeypatch.setattr(rules, "Loading", Load)
    return Scene()


def test_replaced_inspectors_are_counted_and_told(scene: Scene) -> None:
    """Once; of generations that drain, too, but those that live are the younger one's."""
    scene.old.told = [(2, 3, 1), (2, 0, 0)]
    drains = Process()
    drains.told = [(4, 1, 0), (4, 0, 0)]
    scene.all[0] = SimpleNamespace(config="before", inspectors=drains)
    assert scene.look() == ["waf.inspectors_replaced"] * 2
    assert scene.counted() == [2, 4, 1]
    assert scene.look() == []
    assert scene.counted() == [2, 4, 1]


def test_another_process_takes_its_place(scene: Scene) -> None:
    """Of the same configuration, and once it has loaded; nobody is kept waiting for that."""
    scene.old.why = "it has ended"
    scene.old.told = [(0, 2, 0), (0, 0, 0)]
    assert scene.look() == ["waf.gone"]
    assert scene.look() == []
    [load] = Load.made
    assert load.of == ("config", "account")
    load.ready = load.fit = True
    assert scene.look() == ["waf.back"]
    assert scene.resources.inspectors is load.process
    assert load.process.before is scene.old
    assert scene.look() == []
    assert scene.counted() == [2, 2, 0]
    assert len(Load.made) == 1


def test_one_that_ends_again_and_again(scene: Scene) -> None:
    """The first time another one loads at once, and then after ever longer pauses: nobody's core is kept busy with it."""
    begun, now = [], 1000.0
    while now < 1060.0:
        scene.resources.inspectors.why = "it has ended"
        if "waf.gone" in scene.look(now):
            begun.append(now - 1000.0)
            Load.made[-1].ready = Load.made[-1].fit = True
            scene.look(now)
        now += 0.25
    assert begun == [0, 1, 3, 7, 15, 25, 35, 45, 55]
    scene.resources.inspectors.why = ""
    scene.look(2000.0)
    scene.resources.inspectors.why = "it has ended"
    assert scene.look(2001.0) == ["waf.gone"]


def test_rules_that_can_be_loaded_no_more(scene: Scene) -> None:
    """Somebody may have changed the files: that is told, and tried again after a while; so is what takes too long."""
    scene.old.why = "it has ended"
    scene.look(100.0)
    Load.made[0].ready = True
    assert scene.look(101.0) == ["waf.lost"]
    assert scene.look(102.0) == []
    assert scene.look(100.0 + AGAIN_AFTER) == ["waf.gone"]
    Load.made[1].until = 115.0
    assert scene.look(116.0) == ["waf.lost"]
    assert Load.made[1].closed
    assert scene.resources.inspectors is scene.old


def test_what_loads_for_nobody_is_given_up(scene: Scene) -> None:
    """The generation is gone; or the master ends."""
    scene.old.why = "it has ended"
    scene.look()
    del scene.all[1]
    scene.look()
    assert Load.made[0].closed
    other = Scene()
    other.old.why = "it has ended"
    other.look()
    assert other.watch.next_deadline() < float("inf")
    other.watch.close()
    assert Load.made[1].closed
    assert other.watch.next_deadline() == float("inf")
