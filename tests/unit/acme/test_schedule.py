"""When certificates are renewed, and when failures are tried again."""

from __future__ import annotations

import pytest

from lbproxy.acme.schedule import ARI_AGAIN, DAY, HOUR, ari_again, back_off, renewal_at, retry_after, within_window


def test_a_third_of_the_lifetime_before_the_end() -> None:
    """And never later, however chance falls; of a certificate of six days as of one of ninety."""
    for days in (6, 47, 90, 397):
        at = [renewal_at(0.0, days * DAY, chance) for chance in (0.0, 0.5, 1.0)]
        assert at[0] == pytest.approx(days * DAY * 2 / 3)
        assert at == sorted(at, reverse=True)
        assert at[2] > days * DAY * 0.6


def test_failures_wait_longer_and_longer_up_to_a_day() -> None:
    """What the authority asks for is kept to, within a day."""
    waits = [back_off(failures, 1.0) for failures in range(1, 40)]
    assert waits[:4] == [60.0, 120.0, 240.0, 480.0]
    assert waits == sorted(waits)
    assert max(waits) == DAY
    assert 48.0 <= back_off(1, 0.0) <= 60.0
    assert back_off(1, 1.0, asked=7200.0) == 7200.0
    assert back_off(1, 1.0, asked=1e9) == DAY


def test_a_suggested_window() -> None:
    """A time inside it; at once where it is over, or when time has gone on."""
    assert within_window(100.0, 200.0, 0.0, 0.25) == 125.0
    assert within_window(100.0, 200.0, 150.0, 0.25) == 150.0
    assert within_window(100.0, 200.0, 300.0, 0.9) == 300.0
    assert within_window(200.0, 100.0, 50.0, 0.9) == 200.0


@pytest.mark.parametrize(("asked", "wait"), [(0.0, ARI_AGAIN), (60.0, HOUR), (7200.0, 7200.0), (1e9, DAY)])
def test_when_the_window_is_asked_for_again(asked: float, wait: float) -> None:
    """At most hourly, at least daily."""
    assert ari_again(asked) == wait


@pytest.mark.parametrize(("text", "wait"), [
    (None, 0.0), ("", 0.0), ("120", 120.0), ("-1", 0.0), ("99999999", DAY), ("9" * 5000, 0.0), ("Wed, 21 Oct", 0.0),
    ("\u0665", 0.0),
])  # fmt: skip
def test_retry_after(text: str | None, wait: float) -> None:
    """Seconds; whatever else stands there means nothing."""
    assert retry_after(text) == wait
