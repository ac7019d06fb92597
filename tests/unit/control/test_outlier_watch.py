"""From the ledger's counts to ejections and hurried checks."""

from __future__ import annotations

import gevent
import pytest

from lbproxy.balance.ledger import HealthState, PerSlot, SlotState, admin_cell, cell_at, state_at
from lbproxy.config import model
from lbproxy.control.backend_health import BackendHealth
from lbproxy.control.outlier_watch import OutlierWatch, WatchedBackend
from lbproxy.health.outcome import PASSED, ProbeFinding, ProbeOutcome
from lbproxy.health.rise_and_fall import CheckState
from lbproxy.ipc.messages import HealthChanged
from tests.unit.control.backends import new_ledger, pool_of, resolved


class Scene:
    """Two backends that are up, two workers that count."""

    def __init__(self, outlier: model.OutlierConfig | None = None, slow_start: float = 0.0) -> None:
        self.ledger = new_ledger()
        for child in (0, 1):
            self.ledger.open_row(child)
        self.told: list[HealthChanged] = []
        self.hurried: list[int] = []
        pool = model.PoolConfig(
            "app", pool_of("app", 81, 82, health=model.HealthConfig()).backends, outlier=outlier or model.OutlierConfig()
        )
        self.evidence = OutlierWatch(self.ledger, self.told.append)
        self.healths: list[BackendHealth] = []
        watched = []
        for backend in resolved(pool, 7):
            health = BackendHealth(self.ledger, backend.slot, slow_start)
            health.set_check_state(CheckState.UP, PASSED)
            self.healths.append(health)
            watched.append(WatchedBackend(backend, health, lambda slot=backend.slot: self.hurried.append(slot)))  # type: ignore[misc]  # a default argument
        self.evidence.watch(pool, watched)

    def happen(self, child: int, slot: int, what: PerSlot, times: int = 1) -> None:
        """Tries that ended so."""
        self.ledger.cells[cell_at(child, PerSlot.REQUESTS, slot)] += times
        self.ledger.cells[cell_at(child, what, slot)] += times


def test_failures_of_all_workers_are_one_row() -> None:
    """Three here and two there: ejected, told, and checked at once; the next time on trial."""
    scene = Scene()
    scene.happen(0, 7, PerSlot.FAILURES, 3)
    scene.evidence.look(100.0)
    assert scene.told == []
    assert scene.hurried == [7]
    scene.happen(1, 7, PerSlot.GATEWAY_ERRORS, 2)
    scene.evidence.look(100.1)
    assert [(told.backend, told.state) for told in scene.told] == [("127.0.0.1:81", "ejected")]
    assert scene.ledger.health(7) is HealthState.EJECTED
    assert scene.ledger.cells[state_at(SlotState.EJECTED_UNTIL_MS, 7)] == 130_100
    scene.evidence.look(131.0)
    assert scene.ledger.health(7) is HealthState.TRIAL


def test_who_was_only_restarted_is_tried_at_once() -> None:
    """Refused connections had it ejected; its checks saw that as well, and pass again: no reason to wait for half a minute."""
    scene = Scene()
    scene.happen(0, 7, PerSlot.FAILURES, 5)
    scene.evidence.look(100.0)
    for finding in (ProbeFinding(ProbeOutcome.REFUSED), PASSED):
        scene.healths[0].counted(finding)
    scene.evidence.look(101.0)
    assert scene.ledger.health(7) is HealthState.EJECTED
    scene.healths[0].counted(PASSED)
    scene.evidence.look(102.0)
    assert scene.ledger.health(7) is HealthState.TRIAL


def test_what_clients_gave_up_is_neither_good_nor_bad() -> None:
    """A backend that is mute, and whose clients do not wait for its time-outs, does not look well for it."""
    scene = Scene()
    for look in range(5):
        scene.happen(0, 7, PerSlot.FAILURES)
        scene.happen(1, 7, PerSlot.GIVEN_UP, 3)
        scene.evidence.look(100.0 + look)
    assert scene.ledger.health(7) is HealthState.EJECTED


def test_never_the_last_one() -> None:
    """The other one is down, or drained."""
    scene = Scene()
    scene.ledger.cells[state_at(SlotState.ADMIN, 8)] = admin_cell(True, None)
    scene.happen(0, 7, PerSlot.FAILURES, 50)
    scene.evidence.look(100.0)
    assert scene.ledger.health(7) is HealthState.UP


def test_switched_off() -> None:
    """Checks are hurried all the same."""
    scene = Scene(model.OutlierConfig(enabled=False))
    scene.happen(0, 7, PerSlot.FAILURES, 50)
    scene.evidence.look(100.0)
    assert scene.ledger.health(7) is HealthState.UP
    assert scene.hurried == [7]


def test_it_reads_more_often_while_tries_end() -> None:
    """Who answers errors at once gets hundreds in a tenth of a second."""
    scene = Scene()
    scene.evidence.glance(100.0)
    assert not scene.evidence.glance(100.1)
    scene.happen(1, 8, PerSlot.SERVER_ERRORS)
    assert scene.evidence.glance(100.2)
    assert not scene.evidence.glance(100.3)
    scene.happen(0, 7, PerSlot.CONNECTS)
    assert scene.evidence.glance(100.4), "also good ones: the first bad one may come any moment"


def looks_of(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> list[float]:
    """When the counts are added up and judged."""
    looks: list[float] = []
    whole = scene.evidence._look_at_counts

    def look_at(reading: bytes, now: float) -> None:
        looks.append(now)
        whole(reading, now)

    monkeypatch.setattr(scene.evidence, "_look_at_counts", look_at)
    return looks


def test_good_answers_are_looked_at_ten_times_a_second(monkeypatch: pytest.MonkeyPatch) -> None:
    """A second of load on two backends, all of it well: forty readings, ten looks."""
    scene = Scene()
    looks = looks_of(scene, monkeypatch)
    for number in range(40):
        scene.happen(number % 2, 7, PerSlot.CONNECTS, 25)
        assert scene.evidence.glance(100.0 + number / 40)
    assert len(looks) == 10


@pytest.mark.parametrize("what", [PerSlot.FAILURES, PerSlot.GATEWAY_ERRORS])
def test_who_begins_to_fail_under_load_is_ejected_at_the_next_reading(what: PerSlot) -> None:
    """Its good answers of the same tenth of a second, read before, do not cover for it; nor does the other worker's silence."""
    scene = Scene()
    for number in range(3):
        scene.happen(0, 7, PerSlot.CONNECTS, 25)
        scene.happen(1, 8, PerSlot.CONNECTS, 25)
        scene.evidence.glance(100.0 + number / 40)
    scene.happen(0, 7, what, 5)
    scene.evidence.glance(100.075)
    assert [(told.backend, told.state) for told in scene.told] == [("127.0.0.1:81", "ejected")]
    assert scene.hurried == [7]


def test_other_errors_are_looked_at_at_once_as_well() -> None:
    """Twenty answers of 500 in a row, where the other backend's are good."""
    scene = Scene()
    for number in range(3):
        scene.happen(0, 7, PerSlot.CONNECTS, 25)
        scene.happen(1, 8, PerSlot.CONNECTS, 25)
        scene.evidence.glance(100.0 + number / 40)
    scene.happen(0, 7, PerSlot.SERVER_ERRORS, 20)
    scene.evidence.glance(100.075)
    assert scene.ledger.health(7) is HealthState.EJECTED


def test_a_suspect_is_looked_at_whoever_answers() -> None:
    """All fail, so nobody is ejected; a moment later the other's answers are good, and no failure came since."""
    scene = Scene(model.OutlierConfig(consecutive=0))
    for slot in (7, 8):
        scene.happen(0, slot, PerSlot.SERVER_ERRORS, 30)
    scene.evidence.glance(100.0)
    assert scene.told == []
    scene.happen(0, 8, PerSlot.CONNECTS, 200)
    scene.evidence.glance(100.025)
    assert [(told.backend, told.state) for told in scene.told] == [("127.0.0.1:81", "ejected")]


def test_a_trial_is_over_at_the_reading_that_shows_it() -> None:
    """Three good answers, between two looks that were due."""
    scene = Scene()
    scene.happen(0, 7, PerSlot.FAILURES, 5)
    scene.evidence.glance(100.0)
    scene.evidence.glance(131.0)
    assert scene.ledger.health(7) is HealthState.TRIAL
    scene.happen(0, 7, PerSlot.CONNECTS, 3)
    scene.evidence.glance(131.025)
    assert scene.ledger.health(7) is HealthState.UP


def test_a_worker_that_joins_between_two_readings_is_counted() -> None:
    """Its row is none of the reading before; nothing of that is taken for another count."""
    scene = Scene()
    scene.happen(0, 7, PerSlot.CONNECTS, 100)
    scene.evidence.glance(100.0)
    scene.happen(1, 8, PerSlot.CONNECTS, 100)
    scene.evidence.glance(100.025)
    scene.ledger.open_row(2)
    scene.happen(2, 8, PerSlot.FAILURES, 5)
    scene.evidence.glance(100.05)
    scene.happen(2, 8, PerSlot.FAILURES, 5)
    scene.evidence.glance(100.075)
    assert [(told.backend, told.state) for told in scene.told] == [("127.0.0.1:82", "ejected")]


def test_nothing_to_watch() -> None:
    """All routes answer by themselves."""
    watch = OutlierWatch(new_ledger(), lambda _: None)
    assert not watch.glance(100.0)


def test_it_looks_again_and_again() -> None:
    """By itself."""
    scene = Scene()
    greenlet = gevent.spawn(scene.evidence.run)
    try:
        with gevent.Timeout(60):
            for number in range(1, 3):
                scene.happen(0, 8, PerSlot.FAILURES)
                while len(scene.hurried) < number:
                    gevent.sleep(0.01)
    finally:
        greenlet.kill()


def test_backends_that_come_and_go_leave_the_others_evidence_as_it_is() -> None:
    """Three failures before a newcomer, two after it: five in a row. The newcomer begins at nothing."""
    scene = Scene()
    scene.happen(0, 7, PerSlot.FAILURES, 3)
    scene.evidence.look(100.0)
    watched, *_ = scene.evidence._pools["app"]
    scene.happen(0, 9, PerSlot.FAILURES, 50)  # of whoever had the slot before
    [backend] = resolved(pool_of("app", 83, health=model.HealthConfig()), 9)
    newcomer = WatchedBackend(backend, BackendHealth(scene.ledger, 9), lambda: None)
    newcomer.health.set_check_state(CheckState.UP, PASSED)
    scene.evidence.watch(model.PoolConfig("app", (), outlier=model.OutlierConfig()), [watched[0], newcomer])
    scene.happen(0, 7, PerSlot.FAILURES, 2)
    scene.evidence.look(100.1)
    assert [(told.backend, told.state) for told in scene.told] == [("127.0.0.1:81", "ejected")]
    assert len(scene.evidence._pools) == 1
