"""When the new program takes over, and when it does not."""

from __future__ import annotations

import os
import sys
import time
from types import SimpleNamespace
from typing import Any

import pytest

from lbproxy.master.succession import succession
from lbproxy.master.succession.succession import NEVER, Succession
from lbproxy.master.succession.upgrade import Commands

GOOD = Commands([sys.executable, "-c", "pass"], ["the new one"])
BAD = Commands([sys.executable, "-c", "import sys; sys.exit('lbproxy.toml:3: wanted a number')"], [])


class World:
    """A master with nobody in it; what is told of upgrades, and when it would have executed itself."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, commands: Commands | None) -> None:
        self.told: list[tuple[str, str]] = []
        self.executed = 0
        self.fleet = SimpleNamespace(stop=None, busy=False)
        self.pipes = SimpleNamespace(on_stranger=[], running={})
        notifier = SimpleNamespace(environment={}, reloading=lambda *said: None, ready=lambda *said: None)
        logger = SimpleNamespace(
            error=lambda event, why: self.told.append((event, why)), info=lambda event, **_: self.told.append((event, ""))
        )
        monkeypatch.setattr(succession, "log", SimpleNamespace(get_logger=lambda: logger))
        monkeypatch.setattr(succession, "execute", self._execute)
        parts: list[Any] = [None, {}, self.fleet, self.pipes, notifier, tuple]
        self.succession = Succession(commands, *parts)

    def _execute(self, *_: object) -> None:
        self.executed += 1
        raise OSError(2, "No such file or directory")  # what happens otherwise nobody here would see

    def reap(self) -> None:
        """As the master does it, but for children of other tests."""
        trial = self.succession._trial
        assert trial is not None
        pid, status = os.waitpid(trial.pid, 0)
        for tell in self.pipes.on_stranger:
            tell(pid, status)

    def look(self, later: float = 0.0) -> None:
        """As the master does it, several times a second."""
        self.succession.look(time.monotonic() + later)


def test_good_code_is_executed(monkeypatch: pytest.MonkeyPatch) -> None:
    """Not before its check has passed; and once."""
    world = World(monkeypatch, GOOD)
    assert world.succession.next_deadline() == NEVER
    world.succession.want()
    world.look()
    assert (world.executed, world.told) == (0, [])
    assert world.succession.next_deadline() < time.monotonic() + 1
    world.reap()
    world.look()
    world.look()
    assert world.executed == 1
    assert world.told == [("upgrade.begun", ""), ("upgrade.failed", "No such file or directory")]
    assert world.succession.next_deadline() == NEVER


def test_bad_code_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    """It says why; the next one may be better."""
    world = World(monkeypatch, BAD)
    for turn in (1, 2):
        world.succession.want()
        world.reap()
        world.look()
        assert world.told == [("upgrade.refused", "lbproxy.toml:3: wanted a number")] * turn
    assert not world.executed


def test_what_is_under_way_meanwhile_is_waited_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reload, for as long as a trial may take; behind a stop there is no successor."""
    world = World(monkeypatch, GOOD)
    for later, outcome in ((0.0, "upgrade.begun"), (1000.0, "upgrade.refused")):
        world.succession.want()
        world.fleet.busy = True
        world.reap()
        world.told.clear()
        world.look()
        assert not world.told
        world.fleet.busy = later > 0
        world.look(later)
        assert world.told[0][0] == outcome
        world.fleet.busy = False
    world.succession.want()
    world.fleet.stop = "SIGTERM"
    world.reap()
    world.look()
    assert world.told[-1] == ("upgrade.refused", "a reload or a stop is under way")
    assert world.executed == 1


def test_what_is_refused_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """No file to start with, a trial that is going on, a program that is not there."""
    world = World(monkeypatch, None)
    world.succession.want()
    assert world.told == [("upgrade.refused", "started without a configuration file")]
    world = World(monkeypatch, GOOD)
    world.succession.want()
    world.succession.want()
    assert world.told == [("upgrade.refused", "the new code is being tried already")]
    world.reap()
    world.succession.close()
    world = World(monkeypatch, Commands(["/no/such/program"], []))
    world.succession.want()
    assert "No such file" in world.told[0][1]
