"""How much of each flood is let through, over a clock of the test's."""

from __future__ import annotations

import pytest

from lbproxy.http.h2.floods import AMONG, LIMITS, Floods, Limit
from lbproxy.http.h2.vocabulary import Failure, H2Code


def play(floods: Floods, now: float, requests: int, resets: int) -> Failure | None:
    for _ in range(requests):
        floods.see("requests")
    for _ in range(resets):
        floods.see("h2_resets")
    return floods.judge(now)


@pytest.mark.parametrize("kind", sorted(LIMITS))
def test_each_kind_ends_by_its_name(kind: str) -> None:
    """What may come at once comes, one more ends the connection, and a second later as many more as the rate says are let."""
    limit = LIMITS[kind]
    floods = Floods()
    assert floods.note(kind, 100.0, int(limit.burst)) is None
    assert floods.note(kind, 101.0, int(limit.rate)) is None
    assert floods.note(kind, 101.0) == Failure(H2Code.ENHANCE_YOUR_CALM, kind)


def test_kinds_are_counted_apart_and_rest_restores() -> None:
    """One that was used up does not touch another, and after a while all of it is there again, and no more than that."""
    floods = Floods({"a": Limit(10, 1), "b": Limit(10, 1)})
    assert floods.note("a", 0.0, 10) is None
    assert floods.note("b", 0.0, 10) is None
    assert floods.note("a", 1000.0, 10) is None
    assert floods.note("a", 1000.0) is not None


def test_what_is_forgotten_is_only_what_would_be_there_again() -> None:
    """An idle connection holds nothing of what it has made good, and is not let off the rest."""
    floods = Floods({"a": Limit(10, 1), "b": Limit(10, 1)})
    assert floods.note("a", 0.0, 9) is None
    assert floods.note("b", 0.0, 3) is None
    floods.forget(5.0)
    assert repr(floods).endswith("left: a 1>")
    assert floods.note("a", 5.0, 7) is not None
    floods.forget(100.0)
    assert not floods.watches()


def test_what_every_client_says_once_is_not_remembered() -> None:
    """SETTINGS at its beginning: an idle connection need not hold memory for that; but for a few that follow each other it does."""
    floods = Floods()
    assert floods.note("h2_settings", 0.0) is None
    floods.forget(0.5)
    assert not floods.watches()
    assert floods.note("h2_settings", 1.0, 5) is None
    floods.forget(1.5)
    assert floods.watches()


def test_who_is_sent_something_may_say_more() -> None:
    """Windows and measurements belong to a download, however fast it is; never beyond what may come at once."""
    floods = Floods({"h2_pings": Limit(10, 0), "h2_settings": Limit(10, 0)})
    assert not floods.watches()
    for _ in range(1000):
        assert floods.note("h2_pings", 0.0) is None
        floods.earn(1)
    assert floods.watches()
    floods.earn(1_000_000)
    assert floods.note("h2_pings", 0.0, 10) is None
    assert floods.note("h2_pings", 0.0) is not None
    assert floods.note("h2_settings", 0.0, 10) is None
    floods.earn(1_000_000)
    assert floods.note("h2_settings", 0.0) is not None


def test_a_page_that_is_closed_is_no_flood() -> None:
    """A hundred pictures given up at once, now and then."""
    floods = Floods()
    for visit in range(50):
        assert play(floods, visit * 20.0, 120, 100) is None


def test_rapid_reset() -> None:
    """Begun and given up, as fast as it goes."""
    floods = Floods()
    assert play(floods, 0.0, 1000, 1000) == Failure(H2Code.ENHANCE_YOUR_CALM, "h2_resets")


def test_slow_rapid_reset() -> None:
    """Below the rate, but nearly all that is asked for is given up."""
    floods = Floods()
    ends = [play(floods, float(second), 10, 10) for second in range(AMONG)]
    assert Failure(H2Code.ENHANCE_YOUR_CALM, "h2_reset_share") in ends


def test_what_came_together_is_judged_together() -> None:
    """By kind, once."""
    floods = Floods({"a": Limit(2, 0), "b": Limit(2, 0)})
    assert floods.judge(0.0) is None
    for kind in ("a", "b", "a", "b", "b"):
        floods.see(kind)
    assert floods.judge(0.0) == Failure(H2Code.ENHANCE_YOUR_CALM, "b")
    assert floods.judge(0.0) is None


def test_a_repr_shows_what_is_left() -> None:
    """For the log and the debugger."""
    floods = Floods()
    floods.note("h2_pings", 0.0, 40)
    assert repr(floods) == "<Floods 0 of 0 given up; left: h2_pings 60>"
