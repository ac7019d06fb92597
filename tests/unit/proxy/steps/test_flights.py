"""Of those who want to know the very same at a time one finds it out; nobody waits for somebody who is gone."""

from __future__ import annotations

from typing import Any

import pytest

from lbproxy.proxy.steps.flights import Checks
from tests.unit.proxy.world import World


class Scene:
    """Requests that have something checked, each in a greenlet."""

    def __init__(self) -> None:
        self.world = World(1)
        self.service: Any = type("Service", (), {"strands": self.world})
        self.checks = Checks()
        self.under_way: list[Any] = []
        self.heard: list[tuple[bytes, object]] = []

    def ask(self, key: bytes, answer: bool | Exception) -> None:
        def check() -> bool:
            self.under_way.append(self.world.current())
            self.world.park()
            if isinstance(answer, Exception):
                raise answer
            return answer

        def run() -> None:
            try:
                self.heard.append((key, self.checks.of(key, self.service, check)))
            except ValueError as error:
                self.heard.append((key, str(error)))

        self.world.start(run)

    def end(self) -> None:
        self.under_way.pop(0).switch()
        self.world.settle()


@pytest.mark.parametrize("answer", [True, False])
def test_what_one_hears_all_hear(answer: bool) -> None:
    """Of the same key; when it is over, the next one asks anew."""
    scene = Scene()
    for _ in range(3):
        scene.ask(b"a", answer)
    scene.ask(b"b", not answer)
    assert len(scene.under_way) == 2
    scene.end()
    assert scene.heard == [(b"a", answer)] * 3
    scene.end()
    assert scene.heard[3:] == [(b"b", not answer)]
    scene.ask(b"a", answer)
    assert len(scene.under_way) == 1


def test_what_fails_fails_for_one() -> None:
    """The others ask for themselves, one after the other."""
    scene = Scene()
    scene.ask(b"a", ValueError("gone"))
    scene.ask(b"a", True)
    scene.ask(b"a", False)
    scene.end()
    assert scene.heard == [(b"a", "gone")]
    assert len(scene.under_way) == 1
    scene.end()
    assert scene.heard[1:] == [(b"a", True)] * 2


def test_whoever_waits_may_go() -> None:
    """The answer that comes then wakes nobody else."""
    scene = Scene()
    scene.ask(b"a", True)
    scene.ask(b"a", True)
    waits = scene.world.strands[-1]
    waits.throw(ValueError("left"))
    scene.end()
    assert scene.heard == [(b"a", "left"), (b"a", True)]
