"""Who gets which cores."""

from __future__ import annotations

import pytest

from bench.macro import machine
from bench.macro.errors import BenchError
from bench.macro.machine import Cores, pinned, widened

TWO = Cores("0", "1", (0, 1))
FOUR = Cores("0", "1,2,3", (0, 1, 2, 3))


def test_a_second_worker_gets_a_core_of_its_own_where_that_leaves_one_for_the_load() -> None:
    assert widened(FOUR, 1) == FOUR
    assert widened(FOUR, 2) == Cores("0,1", "2,3", (0, 1, 2, 3))


def test_where_none_would_be_left_all_share_all_and_are_told_so() -> None:
    """Said aloud, since children would inherit the harness's own core."""
    assert widened(TWO, 2) == Cores("0,1", "0,1", (0, 1))
    assert widened(FOUR, 8) == Cores("0,1,2,3", "0,1,2,3", (0, 1, 2, 3))


def test_who_is_not_pinned_stays_free() -> None:
    assert widened(Cores(), 4) == Cores()
    assert machine.cores(pin=False) == Cores()
    assert pinned(["wrk"], None) == ["wrk"]
    assert pinned(["wrk"], "0,1") == ["taskset", "-c", "0,1", "wrk"]


def test_a_missing_tool_is_named() -> None:
    with pytest.raises(BenchError, match="no-such-tool-at-all is not installed"):
        machine.require("no-such-tool-at-all", "a test")
