"""How long an answer lasts; the cases by section are in test_cases.py."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from lbproxy.http.caching.directives import MOST_SECONDS, of_answer
from lbproxy.http.caching.lifetime import Arrival, Defaults, Lifetime, lifetime_of
from lbproxy.http.date import date_line
from tests.corpus.caching.read import NOW
from tests.unit.http.heads import response

_SECONDS = st.integers(0, 10**6)


@given(_SECONDS, _SECONDS, _SECONDS, _SECONDS, st.integers(-(10**6), 10**6))
def test_it_never_lasts_longer_than_was_said(most: int, age: int, again: int, error: int, off: int) -> None:
    """Whatever the clocks of others show, it is fresh for as long as was said at most, counted from when it was asked for."""
    answer = response(b"Cache-Control: max-age=%d" % most, b"Age: %d" % age, date_line(NOW + off)[2:])
    said, targeted = of_answer(answer)
    life = lifetime_of(answer, said, targeted, Arrival(100.0, 103.0, float(NOW)), Defaults(7, again, error))
    assert life.fresh_until <= 100.0 + most - age
    assert life.age(103.0) >= age
    assert life.fresh_until <= min(life.stale_until, life.error_until)


def test_age() -> None:
    """It grows with the clock, and is never below 0 nor beyond what can be said."""
    life = Lifetime(10.0, 0.0, 0.0, 0.0)
    assert [life.age(now) for now in (5.0, 10.0, 12.9, 1e12)] == [0, 0, 2, MOST_SECONDS]
