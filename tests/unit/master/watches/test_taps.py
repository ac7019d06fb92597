"""The watch over taps: the generation that serves wins, and control hears what was done."""

from __future__ import annotations

import socket
from collections.abc import Collection, Sequence
from types import SimpleNamespace
from typing import Any, cast

from lbproxy.config.model import Config
from lbproxy.ipc.messages import TapWork
from lbproxy.master.fleet.child import Role
from lbproxy.master.watches.taps import TapWatch

WORK = TapWork("ids", "fifo", 1, 0, 0, 0, 1, 0)


class Asked:
    """In the place of the process's end: what it was asked."""

    def __init__(self) -> None:
        self.configs: Sequence[Any] = ()
        self.rows: Collection[int] = ()

    def serve(self, row: int, configs: Sequence[Config], now: float) -> socket.socket | None:
        self.configs = configs
        return None

    def look(self, configs: Sequence[Config], rows: Collection[int], now: float) -> None:
        self.configs, self.rows = configs, rows

    def work(self) -> list[TapWork]:
        return [WORK]


def test_who_wins_and_who_hears() -> None:
    """Serving, then younger ones; each figure once, and all of them to a control that is new."""
    resources = {number: SimpleNamespace(config=f"config {number}") for number in (1, 2, 3)}
    told: list[tuple[int, TapWork]] = []
    control = SimpleNamespace(row=9, pid=100)
    pipes = SimpleNamespace(
        running={4: SimpleNamespace(role=Role.WORKER), 9: SimpleNamespace(role=Role.CONTROL)},
        control_of=lambda number: control,
        tell=lambda row, work: told.append((row, work)),
    )
    asked = Asked()
    watch = TapWatch(cast(Any, resources), lambda: cast(Any, (2, resources[2])), cast(Any, pipes), cast(Any, asked))
    assert watch.serve(4) is None
    watch.look(10.0)
    watch.look(20.0)
    assert asked.configs == ["config 2", "config 3", "config 1"]
    assert asked.rows == {4}
    assert told == [(9, WORK)]
    control.pid = 101
    watch.look(30.0)
    assert told == [(9, WORK)] * 2
    assert watch.told() == [WORK._asdict()]
