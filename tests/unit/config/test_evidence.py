"""outlier, fail_open, slow_start, retries."""

from __future__ import annotations

import pytest

from lbproxy.config.model import OutlierConfig
from tests.unit.config.text import LEAST, complaint, read


def test_all_keys() -> None:
    """Each lands where it belongs."""
    text = """
    fail_open = 0
    slow_start = "30s"
    retries = 4
    retry_budget = 50
    retry_on = ["connect", "timeout"]
    [pool.app.outlier]
    enabled = false
    consecutive = 7
    rate = 60
    requests = 50
    window = "20s"
    ejection = "1m"
    longest = "10m"
    share = 30
    """
    pool = read(LEAST + text.replace("    ", "")).pools[0]
    assert pool.outlier == OutlierConfig(False, 7, 60, 50, 20.0, 60.0, 600.0, 30)
    assert (pool.fail_open, pool.slow_start) == (0, 30.0)
    assert (pool.retries, pool.retry_budget, pool.retry_on) == (4, 50, ("connect", "timeout"))


def test_what_is_retried_by_default() -> None:
    """A time-out is not: the next backend would double the wait, and the load that made it."""
    assert read(LEAST).pools[0].retry_on == ("connect", "closed")
    assert read(LEAST + "retry_on = []").pools[0].retry_on == ()


def test_what_is_tolerated() -> None:
    """Nothing, unless it is named; a word that is nearly one is explained."""
    assert read(LEAST).pools[0].tolerate == ()
    assert read(LEAST + 'tolerate = ["bare_lf", "obs_fold"]').pools[0].tolerate == ("bare_lf", "obs_fold")
    assert "bare_lf" in str(complaint(LEAST + 'tolerate = ["bare-lf"]').hint)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("fail_open = 101", "fail_open"),
        ("outlier = { rate = 101 }", "outlier.rate"),
        ("outlier = { share = 0 }", "outlier.share"),
        ("retries = 11", "retries"),
        ("retries = -1", "retries"),
        ("retry_budget = 101", "retry_budget"),
        ('retry_on = ["errors"]', "retry_on[0]"),
        ('retry_on = "timeout"', "retry_on"),
        ('tolerate = ["lf"]', "tolerate[0]"),
        ('tolerate = "bare_lf"', "tolerate"),
    ],
)
def test_refused(text: str, key: str) -> None:
    """With the key's name."""
    assert complaint(f"{LEAST}{text}").key == f"pool.app.{key}"
