"""Probers and evidence that follow the addresses of names."""

from __future__ import annotations

import os
import socket
from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import replace
from pathlib import Path

import gevent
import pytest
from gevent.pool import Group

from lbproxy.balance import endpoints
from lbproxy.balance.ledger import HealthState, SlotState, state_at
from lbproxy.config import model
from lbproxy.control import prober as prober_module
from lbproxy.control.target import ProbeTarget
from lbproxy.control.watch import BackendWatch
from lbproxy.health.outcome import PASSED, ProbeFinding, ProbeOutcome
from lbproxy.ipc.messages import HealthChanged, NewPoolFiles, Placed
from lbproxy.tls import contexts, pool_files
from lbproxy.tls.keystore import KeyStore
from tests.unit.control.backends import OK, Scripted, answering, handover, hang_up, new_ledger, pool_of
from tests.unit.tls.handshakes import Issuer, serving

TCP = model.HealthConfig(type="tcp", interval=0.05, fast_interval=0.05, down_interval=0.05, timeout=1.0)

SLOW = ProbeFinding(ProbeOutcome.RESPONSE_TIMEOUT)
"""Of a check that never ends."""


class Scene:
    """A pool with a name that stands at 127.0.0.1, in slot 0; every 127.0.0.N:port that listens is up."""

    def __init__(self, port: int, health: model.HealthConfig, slow_start: float = 0.0) -> None:
        self.port = port
        self.mine, theirs = socket.socketpair()
        pool = model.PoolConfig(
            "app", (model.BackendConfig(model.Address("app.test", port)),), health=health, slow_start=slow_start
        )
        self.ledger = new_ledger()
        self.ledger.open_row(0)
        self.inheritance = handover(pool, ledger=self.ledger, pipe=theirs)
        unplaced = endpoints.unplaced(self.inheritance.config, {"app.test": ("127.0.0.1",)})
        self.inheritance.backends = endpoints.placed(unplaced, {f"app/app.test@127.0.0.1:{port}": 0, "app/": 1})
        self.told: list[HealthChanged] = []
        self.group = Group()
        self.watch = BackendWatch(self.inheritance, self.group, self.told.append)
        self.watch.start()

    def place(self, text: str) -> None:
        self.watch.relocate(Placed("app", f"app.test:{self.port}", text))

    def wait(self, condition: Callable[[], object]) -> None:
        with gevent.Timeout(60):
            while not condition():
                gevent.sleep(0.005)

    def checks(self, slot: int) -> int:
        return self.ledger.cells[state_at(SlotState.CHECKS, slot)]

    def close(self) -> None:
        self.group.kill()
        self.mine.close()
        self.inheritance.pipe.close()


@pytest.fixture
def scene() -> Iterator[Scene]:
    with answering(OK) as backend:
        made = Scene(backend.port, TCP)
        yield made
        made.close()


def test_who_is_new_is_probed_and_who_left_no_more(scene: Scene) -> None:
    scene.wait(lambda: scene.ledger.health(0) is HealthState.UP)
    scene.place("127.0.0.1=0,127.0.0.2=5")  # nobody listens there
    scene.wait(lambda: scene.ledger.health(5) is HealthState.DOWN)
    assert scene.told[-1].backend == f"app.test@127.0.0.2:{scene.port}"
    assert len(scene.group) == 3  # two probers and the evidence
    scene.place("127.0.0.2=5")
    scene.wait(lambda: len(scene.group) == 2)
    checks = scene.checks(0)
    before = scene.checks(5)
    scene.wait(lambda: scene.checks(5) > before + 3)
    assert scene.checks(0) == checks
    assert [backend.slot for backend in scene.inheritance.backends["app"]] == [5]


def test_who_comes_back_begins_anew(scene: Scene) -> None:
    """As the master left the ledger: unknown."""
    scene.wait(lambda: scene.ledger.health(0) is HealthState.UP)
    scene.place("127.0.0.2=5")
    scene.ledger.cells[state_at(SlotState.HEALTH, 0)] = HealthState.UNKNOWN
    told = len(scene.told)
    scene.place("127.0.0.1=0,127.0.0.2=5")
    scene.wait(lambda: scene.ledger.health(0) is HealthState.UP)
    assert f"app.test@127.0.0.1:{scene.port}" in [change.backend for change in scene.told[told:]]


def test_those_that_stay_are_not_touched(scene: Scene) -> None:
    scene.wait(lambda: scene.ledger.health(0) is HealthState.UP)
    watched, greenlet = scene.watch._watched[0], scene.watch._greenlets[0]
    scene.place("127.0.0.1=0,127.0.0.3=6")
    assert scene.watch._watched[0] is watched
    assert scene.watch._greenlets[0] is greenlet


def test_a_newcomer_starts_slowly_where_that_is_wanted() -> None:
    with answering(OK) as backend:
        made = Scene(backend.port, TCP, slow_start=30.0)
        try:
            made.place("127.0.0.1=5")
            made.wait(lambda: made.ledger.health(5) is HealthState.WARMING)
        finally:
            made.close()


@pytest.mark.parametrize("health", [TCP, model.HealthConfig(type="off")])
def test_what_is_nowhere_is_down_and_not_checked(health: model.HealthConfig) -> None:
    """Until its name is known; then it is as any newcomer, and may become nowhere no more."""
    with answering(OK) as backend:
        made = Scene(backend.port, health)
        try:
            made.place(f"{endpoints.NOWHERE}=5")
            assert made.ledger.health(5) is HealthState.DOWN
            assert made.told[-1] == HealthChanged("app", f"app.test:{backend.port}", "down", "the name is not known")
            made.place("127.0.0.1=6")
            made.wait(lambda: made.ledger.health(6) is HealthState.UP)
            assert made.checks(5) == 0
        finally:
            made.close()


def test_without_checks_it_is_up_at_once() -> None:
    made = Scene(9, model.HealthConfig(type="off"))
    try:
        made.place("127.0.0.1=0,127.0.0.2=5")
        assert [made.ledger.health(slot) for slot in (0, 5)] == [HealthState.UP, HealthState.UP]
        made.place("127.0.0.2=5")
        assert len(made.group) == 1
    finally:
        made.close()


def test_after_all_were_down_the_first_does_not_get_everything(monkeypatch: pytest.MonkeyPatch) -> None:
    """The others are asked at once, and take part until they have answered."""
    answers: dict[str, ProbeFinding] = dict.fromkeys(("127.0.0.1", "127.0.0.2"), ProbeFinding(ProbeOutcome.REFUSED))
    asked: list[str] = []

    def probe(target: ProbeTarget, heard: object) -> ProbeFinding:
        asked.append(target.ip)
        found = answers[target.ip]
        if found is SLOW:
            gevent.sleep(3600)
        return found

    monkeypatch.setattr(prober_module, "probe", probe)
    made = Scene(80, replace(TCP, down_interval=0.02))
    try:
        made.place("127.0.0.1=0,127.0.0.2=5")
        made.wait(lambda: made.ledger.health(0) is made.ledger.health(5) is HealthState.DOWN)
        answers["127.0.0.2"] = SLOW
        asked.clear()
        made.wait(lambda: "127.0.0.2" in asked)
        answers["127.0.0.1"] = PASSED
        made.wait(lambda: made.ledger.health(0) is HealthState.UP)
        assert made.ledger.health(5) is HealthState.UNKNOWN
    finally:
        made.close()


def test_checks_shake_hands_by_other_files(tmp_path: Path) -> None:
    """From the moment on that they are told of them, and again when they are put right; a file that is none changes nothing."""
    old, new = Issuer(tmp_path, "old"), Issuer(tmp_path, "new")
    tls = model.PoolTlsConfig(ca=old.file, server_name="app.test")
    health = model.HealthConfig(type="tls", interval=60.0, fast_interval=60.0, down_interval=60.0, timeout=30.0, fall=1, rise=1)
    with Scripted(hang_up, serving(*new.issue("app.test"))) as backend, closing(KeyStore()) as store:
        pool = pool_of("app", backend.port, health=health, tls=tls)
        mine, theirs = socket.socketpair()
        ledger = new_ledger()
        ledger.open_row(0)
        inheritance = handover(pool, ledger=ledger, pipe=theirs, contexts={"app": contexts.client_context(pool)})
        group, told = Group(), list[HealthChanged]()
        watch = BackendWatch(inheritance, group, told.append)
        watch.start()
        try:
            with gevent.Timeout(60):
                while not told:
                    gevent.sleep(0.005)
                assert told[-1].state == "down"
                watch.renew(NewPoolFiles("app", "nonsense"), os.dup(store.fileno()))
                pieces = pool_files.PoolPieces(store.take(new.file), None, None, None)
                while told[-1].state == "down":
                    watch.renew(NewPoolFiles("app", pool_files.told(pieces)), os.dup(store.fileno()))
                    gevent.sleep(0.3)
        finally:
            group.kill()
            mine.close()
            theirs.close()
