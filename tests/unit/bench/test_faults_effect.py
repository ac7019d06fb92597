"""When traffic left and came back, read off made-up records: ten a second for each of three backends, the fault from 10 to 20 s."""

from __future__ import annotations

import pytest

from bench.faults.effect import Effect, effect
from bench.faults.trace import Record

BEGAN, ENDED = 10.0, 20.0


def records(seconds: tuple[float, float], backends: tuple[int, ...], tries: int = 1, status: int = 200) -> list[Record]:
    """In turn, thirty a second."""
    first, last = (round(second * 30) for second in seconds)
    return [Record(n / 30, "GET", status, backends[n % len(backends)], tries) for n in range(first, last)]


def seen(*parts: list[Record], victim: int = 0) -> Effect:
    return effect([record for part in parts for record in part], victim, 3, BEGAN, ENDED)


def test_left_and_came_back() -> None:
    """Two seconds of tries, then none; a second and a half after the fault it is back."""
    told = seen(
        records((5, 10), (0, 1, 2)),
        records((10, 12), (1, 2), tries=2),
        records((12, 21.5), (1, 2)),
        records((21.5, 25), (0, 1, 2)),
    )
    assert (told.requests, told.met) == (300, 60)
    assert told.left == pytest.approx(2.0, abs=0.1)
    assert told.back == pytest.approx(1.3, abs=0.25)  # half of its share is there when half of the span is
    assert told.evenness == 1.0


def test_it_never_noticed() -> None:
    told = seen(records((5, 25), (0, 1, 2)))
    assert (told.met, told.left, told.back) == (100, None, 0.0)


def test_nothing_was_sent_there_at_all() -> None:
    told = seen(records((5, 10), (0, 1, 2)), records((10, 25), (1, 2)))
    assert (told.met, told.left, told.back) == (0, 0.0, None)


def test_a_trial_now_and_then_is_no_stay() -> None:
    """Without checks a request every few seconds is how one finds out."""
    trials = [Record(13.001, "GET", 200, 1, 2), Record(16.001, "GET", 504, 0, 1), Record(19.001, "GET", 200, 1, 2)]
    told = effect(sorted(records((5, 25), (1, 2)) + trials), 0, 3, BEGAN, ENDED)
    assert (told.met, told.left) == (3, 0.0)


def test_back_means_answering_well() -> None:
    told = seen(records((5, 20), (1, 2)), records((20, 22), (0, 1, 2), status=500), records((22, 25), (0, 1, 2)))
    assert told.back == pytest.approx(1.8, abs=0.25)


def test_unevenness_of_the_others() -> None:
    told = seen(records((10, 20), (1, 1, 2)))
    assert told.evenness == pytest.approx(4 / 3, abs=0.01)
