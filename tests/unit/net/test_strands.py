"""Greenlets for those who do not know gevent."""

from __future__ import annotations

from gevent.hub import get_hub

from lbproxy.errors import ClientGone
from lbproxy.net.strands import GeventStrands
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
