"""outlier, fail_open, slow_start, retries."""

from __future__ import annotations

import pytest

from lbproxy.config.model import Outlier
from tests.unit.config.text import LEAST, complaint, read


def test_all_keys() -> None:
    """Each lands where it belongs."""
    text = """
    fail_open = 0
    slow_start = "30s"
    retries = 4
    retry_budget = 50
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
    assert pool.outlier == Outlier(False, 7, 60, 50, 20.0, 60.0, 600.0, 30)
    assert (pool.fail_open, pool.slow_start) == (0, 30.0)
    assert (pool.retries, pool.retry_budget) == (4, 50)


@pytest.mark.parametrize(
    ("text", "key"),
    [
        ("fail_open = 101", "fail_open"),
        ("outlier = { rate = 101 }", "outlier.rate"),
        ("outlier = { share = 0 }", "outlier.share"),
        ("retries = 11", "retries"),
        ("retries = -1", "retries"),
        ("retry_budget = 101", "retry_budget"),
    ],
)
def test_refused(text: str, key: str) -> None:
    """With the key's name."""
    assert complaint(f"{LEAST}{text}").key == f"pool.app.{key}"
