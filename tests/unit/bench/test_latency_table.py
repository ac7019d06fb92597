"""Waits over the rounds."""

from __future__ import annotations

from bench.macro.figures import Spread
from bench.macro.latency_table import LatencySample, latency_rows, latency_table


def sample(peer: str, number: int, share: float, p99: float, longest: float = 9.0) -> LatencySample:
    return LatencySample(peer, number, share, 20000 * share, 30.0, 1.0, 2.0, p99, 8.0, longest, 0.1, 1)


SAMPLES = [
    sample("b", 0, 0.8, 4.0),
    sample("a", 0, 0.5, 3.0),
    sample("b", 0, 0.5, 2.0, longest=50.0),
    sample("b", 1, 0.5, 6.0),
    sample("b", 2, 0.5, 5.0),
]


def test_rows_go_by_share_and_then_by_peer_in_the_given_order() -> None:
    rows = latency_rows(SAMPLES, ["b", "a", "c"])
    assert [(row.share, row.peer, row.rounds) for row in rows] == [(0.5, "b", 3), (0.5, "a", 1), (0.8, "b", 1)]


def test_a_row_has_medians_the_longest_wait_of_all_and_all_errors() -> None:
    row = latency_rows(SAMPLES, ["b"])[0]
    assert row.p99 == Spread(5.0, 2.0, 6.0)
    assert (row.rate, row.max_ms, row.errors) == (10000.0, 50.0, 3)


def test_the_table_names_each_share_once() -> None:
    lines = [line.split() for line in latency_table(latency_rows(SAMPLES, ["a", "b"])).splitlines()]
    assert lines[2][:4] == ["50%", "a", "10000", "30.0"]
    assert lines[3][:3] == ["b", "10000", "30.0"]
    assert lines[5][:2] == ["80%", "b"]
