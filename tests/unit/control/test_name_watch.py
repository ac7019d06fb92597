"""Asking for names again and again."""

from __future__ import annotations

import socket
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager

import gevent
import pytest
from gevent.pool import Group

from lbproxy.balance import endpoints
from lbproxy.balance.endpoints import Endpoint
from lbproxy.config import model
from lbproxy.control.name_watch import NameWatch
from lbproxy.errors import Unresolved
from lbproxy.ipc.handover import Handover
from lbproxy.ipc.messages import Resolved
from lbproxy.names import pace
from lbproxy.names.answer import MOST_ADDRESSES, NameAnswer, sift
from tests.unit.control.backends import handover, new_ledger

APP = model.Address("app.test", 80)
SERVER = model.Address("10.0.0.53", 53)


class Scene:
    """A pool with one name at 10.0.0.1, and servers that answer what the test says."""

    def __init__(self) -> None:
        self.mine, self.theirs = socket.socketpair()
        pool = model.PoolConfig("app", (model.BackendConfig(APP), model.BackendConfig(model.Address("10.9.9.9", 80))))
        self.inheritance: Handover = handover(pool, ledger=new_ledger(), pipe=self.theirs)
        self.inheritance.config = model.Config("", (), (), (pool,), proxy=model.ProcessConfig(resolvers=(SERVER,)))
        self.inheritance.backends["app"] = endpoints.placed(
            endpoints.unplaced(self.inheritance.config, {"app.test": ("10.0.0.1",)}),
            {"app/app.test@10.0.0.1:80": 0, "app/10.9.9.9:80": 1, "app/": 2},
        )["app"]
        self.answer: NameAnswer | Unresolved | Exception = sift(["10.0.0.1"], 30.0)
        self.asked: list[tuple[str, Sequence[model.Address], bool]] = []
        self.told: list[Resolved] = []
        self.group = Group()
        self.names = NameWatch(self.inheritance, self.group, self.told.append, self._lookup)

    def _lookup(self, name: str, resolvers: Sequence[model.Address]) -> NameAnswer | Unresolved:
        self.asked.append((name, resolvers, threading.current_thread() is threading.main_thread()))
        if isinstance(self.answer, NameAnswer | Unresolved):
            return self.answer
        raise self.answer

    def wait(self, condition: Callable[[], object]) -> None:
        with gevent.Timeout(60):
            while not condition():
                gevent.sleep(0.002)

    def asks(self, more: int = 3) -> None:
        """Until it has asked again, and acted on that."""
        before = len(self.asked)
        self.wait(lambda: len(self.asked) >= before + more)

    def place(self, *ips: str) -> None:
        """What the master does."""
        pool = self.inheritance.config.pools[0]
        there = [Endpoint(ip, 3 + number) for number, ip in enumerate(ips)]
        self.inheritance.backends["app"] = endpoints.relocate(pool, self.inheritance.backends["app"], APP, there)


@pytest.fixture
def events(monkeypatch: pytest.MonkeyPatch) -> list[tuple[str, dict[str, object]]]:
    """What is logged."""
    said: list[tuple[str, dict[str, object]]] = []

    class Logger:
        def info(self, event: str, **fields: object) -> None:
            said.append((event, fields))

        warning = error = info

    monkeypatch.setattr("lbproxy.control.name_watch.get_logger", Logger)
    return said


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    """Time runs fast."""
    for what in ("first", "after_answer", "after_failure"):
        monkeypatch.setattr(pace, what, lambda *_: 0.005)
    with _scene() as made:
        yield made


@contextmanager
def _scene() -> Iterator[Scene]:
    made = Scene()
    made.names.start()
    try:
        yield made
    finally:
        made.group.kill()
        made.mine.close()
        made.theirs.close()


Events = list[tuple[str, dict[str, object]]]


def test_it_asks_in_a_thread_and_nothing_new_is_not_told(scene: Scene, events: Events) -> None:
    scene.asks()
    assert set(scene.asked) == {("app.test", (SERVER,), False)}
    assert scene.told == []
    assert events == []


def test_other_addresses_are_told_until_they_are_in_use(scene: Scene, events: Events) -> None:
    scene.answer = sift(["10.0.0.3", "10.0.0.2", "fd00::1"], 5.0)
    scene.wait(lambda: len(scene.told) > 2)
    assert set(scene.told) == {Resolved("app.test", "10.0.0.2,10.0.0.3,fd00::1")}
    scene.place("10.0.0.2", "10.0.0.3", "fd00::1")
    scene.asks(2)
    told = len(scene.told)
    scene.asks()
    assert len(scene.told) == told
    assert events == []


@pytest.mark.parametrize("failure", [Unresolved("no such name"), ZeroDivisionError("a hole")])
def test_failures_keep_what_there_is_and_are_told_once(scene: Scene, events: Events, failure: Exception) -> None:
    scene.answer = failure
    scene.asks(5)
    assert scene.told == []
    failed = [fields for event, fields in events if event == "names.failed"]
    why = "no such name" if isinstance(failure, Unresolved) else "ZeroDivisionError: a hole"
    assert failed == [{"name": "app.test", "why": why, "kept": ["10.0.0.1"]}]
    scene.answer = sift(["10.0.0.1"], 5.0)
    scene.wait(lambda: events[-1] == ("names.recovered", {"name": "app.test", "addresses": ["10.0.0.1"]}))
    scene.answer = failure
    scene.wait(lambda: events[-1][0] != "names.recovered" and [event for event, _ in events].count("names.failed") == 2)


def test_a_family_that_could_not_be_learned_stays(scene: Scene, events: Events) -> None:
    scene.place("10.0.0.1", "fd00::1")
    scene.answer = sift(["10.0.0.2"], 5.0, unasked=6)
    scene.wait(lambda: scene.told)
    assert scene.told[0] == Resolved("app.test", "10.0.0.2,fd00::1")


def test_never_too_many(scene: Scene, events: Events) -> None:
    scene.place("10.0.0.1", "fd00::1")
    scene.answer = sift([f"10.1.0.{number}" for number in range(MOST_ADDRESSES + 9)], 5.0, unasked=6)
    scene.wait(lambda: scene.told)
    assert scene.told[0].addresses.count(",") == MOST_ADDRESSES - 1
    note = f"{MOST_ADDRESSES + 9} addresses, the first {MOST_ADDRESSES} are used"
    scene.asks()
    assert events == [("names.odd", {"name": "app.test", "why": note})]


def test_those_that_are_kept_count_among_the_most(scene: Scene, events: Events) -> None:
    """And nothing is left out without a word."""
    scene.place("fd00::1")
    scene.answer = sift([f"10.1.0.{number}" for number in range(MOST_ADDRESSES)], 5.0, unasked=6)
    scene.wait(lambda: scene.told)
    assert "fd00::1" not in scene.told[0].addresses
    scene.asks()
    note = f"{MOST_ADDRESSES + 1} addresses, the first {MOST_ADDRESSES} are used"
    assert events == [("names.odd", {"name": "app.test", "why": note})]


def test_a_name_that_was_not_known_at_start(scene: Scene, events: Events) -> None:
    """It has nothing to keep, and what it is given at last is told."""
    scene.place(endpoints.NOWHERE)
    scene.answer = Unresolved("no such name")
    scene.asks()
    assert ("names.failed", {"name": "app.test", "why": "no such name", "kept": []}) in events
    scene.answer = sift(["10.0.0.1"], 5.0, unasked=4)
    scene.wait(lambda: scene.told)
    assert scene.told[0] == Resolved("app.test", "10.0.0.1")


def test_the_time_to_live_says_when(monkeypatch: pytest.MonkeyPatch) -> None:
    waits: list[tuple[str, float]] = []
    monkeypatch.setattr(pace, "first", lambda chance: 0.0)

    def noting(what: str) -> Callable[[float, float], float]:
        def note(number: float, chance: float) -> float:
            waits.append((what, number))
            return 0.005

        return note

    monkeypatch.setattr(pace, "after_answer", noting("answer"))
    monkeypatch.setattr(pace, "after_failure", noting("failure"))
    with _scene() as made:
        made.asks()
        made.answer = Unresolved("no")
        made.asks()
    assert waits[:2] == [("answer", 30.0)] * 2
    assert [wait for wait in waits if wait[0] == "failure"][:2] == [("failure", 1), ("failure", 2)]
