"""Greenlets for those who do not know gevent."""

from __future__ import annotations

import gc
import time
import warnings
import weakref
from functools import partial

import pytest
from gevent.hub import get_hub
from greenlet import greenlet

from lbproxy.errors import ClientGone
from lbproxy.net.strands import IDLE_STRANDS, GeventStrands
from lbproxy.streams import Strand
from tests.unit.net.loopback import turns, until


def test_a_strand_runs_until_it_waits_and_can_be_thrown_at() -> None:
    strands = GeventStrands()
    said: list[str] = []
    found: list[Strand] = []

    def run() -> None:
        found.append(strands.current())
        said.append("begun")
        try:
            get_hub().switch()
        except ClientGone as error:
            said.append(str(error))

    strands.later(lambda: strands.start(run))
    until(lambda: said, "the strand begins")
    assert said == ["begun"]
    strands.throw_later(found[0], ClientGone("gone"))
    assert said == ["begun"], "not before the loop's next turn"
    turns()
    assert said == ["begun", "gone"]


def test_a_parked_strand_waits_for_a_throw() -> None:
    strands = GeventStrands()
    parked: list[Strand] = []
    said: list[str] = []

    def run() -> None:
        parked.append(strands.current())
        try:
            strands.park()
        except ClientGone as error:
            said.append(str(error))

    strands.later(lambda: strands.start(run))
    until(lambda: parked, "the strand begins")
    turns()
    assert said == []
    strands.throw_later(parked[0], ClientGone("over"))
    turns()
    assert said == ["over"]


def test_throwing_at_a_strand_that_has_ended_is_nothing() -> None:
    strands = GeventStrands()
    found: list[Strand] = []
    strands.later(lambda: strands.start(lambda: found.append(strands.current())))
    until(lambda: found, "the strand ran")
    strands.throw_later(found[0], ClientGone("too late"))
    turns()


def test_later_keeps_the_order() -> None:
    """Stopping an old pump comes before starting the next one because it was asked for before."""
    strands = GeventStrands()
    said: list[int] = []
    for number in range(5):
        strands.later(lambda number=number: said.append(number))  # type: ignore[misc]  # mypy and default arguments of lambdas
    turns()
    assert said == [0, 1, 2, 3, 4]


def test_sleep_ends_by_itself_or_by_what_is_thrown() -> None:
    """From a raw greenlet."""
    strands = GeventStrands()
    ended: list[str] = []

    def short() -> None:
        strands.sleep(0.01)
        ended.append("by itself")

    def long() -> None:
        strands.throw_later(strands.current(), ClientGone("over"))
        try:
            strands.sleep(3600)
        except ClientGone:
            ended.append("thrown")

    strands.later(lambda: strands.start(short))
    strands.later(lambda: strands.start(long))
    until(lambda: len(ended) == 2, "both wake up")
    assert sorted(ended) == ["by itself", "thrown"]


def test_strands_are_used_again_without_what_they_had() -> None:
    """Also after one that ended while others ran, and what a run held is let go when it ends."""
    strands = GeventStrands()
    seen: list[Strand] = []
    parked: list[Strand] = []

    class Held:
        pass

    held = Held()
    gone = weakref.ref(held)

    def waiting() -> None:
        parked.append(strands.current())
        with pytest.raises(ClientGone):
            strands.park()

    _collect_what_others_left()
    strands.later(lambda: strands.start(waiting))
    strands.later(partial(strands.start, partial(lambda _: seen.append(strands.current()), held)))
    del held
    until(lambda: seen, "it ran")
    turns()
    gc.collect()
    assert gone() is None
    for _ in range(3):
        strands.later(lambda: strands.start(lambda: seen.append(strands.current())))
    turns()
    assert seen == [seen[0]] * 4
    assert parked != seen[:1]
    strands.throw_later(parked[0], ClientGone("over"))
    turns()
    strands.later(lambda: strands.start(lambda: seen.append(strands.current())))
    turns()
    assert seen[-1] is parked[0]


def _collect_what_others_left() -> None:
    """A socket that an earlier test of this process left to the collector is that test's mistake, not this one's."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        gc.collect()


def test_what_is_thrown_late_does_not_meet_the_next_run() -> None:
    strands = GeventStrands()
    found: list[Strand] = []
    said: list[str] = []

    def second() -> None:
        found.append(strands.current())
        try:
            strands.park()
        except ClientGone as error:
            said.append(str(error))

    def first() -> None:
        found.append(strands.current())
        strands.later(lambda: strands.start(second))  # its turn comes before that of what is thrown
        strands.throw_later(strands.current(), ClientGone("for the first"))

    strands.later(lambda: strands.start(first))
    until(lambda: len(found) == 2, "both ran")
    turns()
    assert found[0] is found[1]
    assert said == []
    strands.throw_later(found[1], ClientGone("for the second"))
    turns()
    assert said == ["for the second"]


def test_more_strands_than_are_kept() -> None:
    strands = GeventStrands()
    parked: list[Strand] = []
    over: list[int] = []

    def wait(number: int) -> None:
        parked.append(strands.current())
        with pytest.raises(ClientGone):
            strands.park()
        over.append(number)

    for number in range(IDLE_STRANDS + 5):
        strands.later(partial(strands.start, partial(wait, number)))
    until(lambda: len(parked) == IDLE_STRANDS + 5, "all wait")
    for strand in parked:
        strands.throw_later(strand, ClientGone("over"))
    turns()
    assert sorted(over) == list(range(IDLE_STRANDS + 5))
    assert sum(isinstance(strand, greenlet) and strand.dead for strand in parked) == 5


def test_strands_that_nobody_needs_end(monkeypatch: pytest.MonkeyPatch) -> None:
    """But for those that were needed meanwhile: a burst that comes again and again makes none anew."""
    monkeypatch.setattr("lbproxy.net.strands.UNNEEDED", 0.5)
    strands = GeventStrands()
    parked: list[Strand] = []
    used: set[Strand] = set()

    def wait() -> None:
        parked.append(strands.current())
        with pytest.raises(ClientGone):
            strands.park()

    def burst(count: int) -> None:
        parked.clear()
        for _ in range(count):
            strands.later(partial(strands.start, wait))
        until(lambda: len(parked) == count, "all wait")
        used.update(parked)
        for strand in parked:
            strands.throw_later(strand, ClientGone("over"))
        turns()

    burst(20)
    while sum(isinstance(strand, greenlet) and strand.dead for strand in used) < 15:
        burst(5)
    assert len(used) == 20, "the five went on, and no others were made"
    assert not any(isinstance(strand, greenlet) and strand.dead for strand in parked)
    until(lambda: all(isinstance(strand, greenlet) and strand.dead for strand in used), "the others end as well")


def test_one_that_ended_for_lack_of_work_does_not_hurry_the_next(monkeypatch: pytest.MonkeyPatch) -> None:
    """A timer of libev's that has fired once and does not repeat would on its second start fire at once."""
    monkeypatch.setattr("lbproxy.net.strands.UNNEEDED", 0.05)
    strands = GeventStrands()
    used: list[Strand] = []
    for _ in range(3):
        used.clear()
        begun = time.monotonic()
        strands.later(partial(strands.start, lambda: used.append(strands.current())))
        until(lambda: [each for each in used if isinstance(each, greenlet) and each.dead], "it ends")
        assert time.monotonic() - begun >= 0.05


def test_an_alarm_rings_once_unless_it_is_stopped() -> None:
    strands = GeventStrands()
    rung: list[str] = []
    first = strands.alarm(0.0, lambda: rung.append("first"))
    second = strands.alarm(0.0, lambda: rung.append("second"))
    second.stop()
    until(lambda: rung, "the alarm rings")
    turns()
    assert rung == ["first"]
    first.stop()
    second.stop()
