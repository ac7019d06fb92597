from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.health import schedule


@given(st.integers(1, 2000))
def test_first_probes_are_spread_over_a_tenth_of_a_second(count: int) -> None:
    """The first at once, the last before SPREAD is over, evenly between."""
    delays = [schedule.first(index, count) for index in range(count)]
    assert delays[0] == 0
    assert delays == sorted(delays)
    assert delays[-1] < schedule.SPREAD
    assert delays[-1] == pytest.approx(schedule.SPREAD * (count - 1) / count)


@given(st.floats(0, 1e6), st.floats(0, 10), st.floats(0.1, 60), st.floats(0, 1, exclude_max=True))
def test_interval_from_start_to_start(started: float, took: float, interval: float, chance: float) -> None:
    """Start to start is the interval give or take a tenth; only a slow probe stretches it, and then there is a rest."""
    now = started + took
    delay = schedule.following(started, now, interval, chance)
    assert delay >= schedule.REST
    if delay > schedule.REST:
        assert interval * 0.9 - 1e-6 <= now + delay - started <= interval * 1.1 + 1e-6


def test_jitter_covers_both_sides() -> None:
    """0 is a tenth early, a half is on time."""
    assert schedule.following(100, 100, 10, 0) == pytest.approx(9)
    assert schedule.following(100, 100, 10, 0.5) == pytest.approx(10)
    assert schedule.following(100, 104, 10, 0.5) == pytest.approx(6)
    assert schedule.following(100, 150, 10, 0.5) == schedule.REST


def test_pace() -> None:
    """Faster while something changes, whichever way; slower while down."""
    pace = schedule.Pace(2.0, 1.0, 5.0)
    assert pace.interval(down=False, changing=False) == 2.0
    assert pace.interval(down=True, changing=False) == 5.0
    assert pace.interval(down=False, changing=True) == 1.0
    assert pace.interval(down=True, changing=True) == 1.0
