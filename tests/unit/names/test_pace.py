"""When to ask again."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.names.pace import CEILING, FLOOR, RETRY_MOST, after_answer, after_failure, first

CHANCE = st.floats(0, 1, exclude_max=True)


@given(st.one_of(st.floats(0, 2**31), st.just(float("inf"))), CHANCE)
def test_never_before_the_floor_nor_after_the_ceiling(ttl: float, chance: float) -> None:
    delay = after_answer(ttl, chance)
    assert FLOOR <= delay <= CEILING
    assert delay >= min(ttl, CEILING / 1.1)


@pytest.mark.parametrize(("ttl", "wanted"), [(0, 1.0), (5, 5.0), (30, 30.0), (86400, 60 / 1.1)])
def test_when_it_is_over_and_not_in_step(ttl: float, wanted: float) -> None:
    assert after_answer(ttl, 0.0) == pytest.approx(wanted)
    assert after_answer(ttl, 0.5) == pytest.approx(wanted * 1.05)


def test_failures_are_asked_about_less_and_less() -> None:
    assert [after_failure(count, 0.0) for count in (1, 2, 3, 4, 5, 6, 10_000)] == [1, 2, 4, 8, RETRY_MOST, RETRY_MOST, RETRY_MOST]
    assert after_failure(1, 0.5) > 1
    assert 0 <= first(0.0) < first(0.9) < 1
