"""One worker and more: ratios and verdicts."""

from __future__ import annotations

from bench.macro.figures import Spread
from bench.macro.scale_table import (
    AcceptSample,
    BalanceSample,
    CostSample,
    accept_ratio,
    accept_table,
    balance_table,
    by_round,
    cost_ratio,
    cost_table,
)


def cost(workers: int, number: int, us: float, load: str = "full", errors: int = 0) -> CostSample:
    return CostSample("p", workers, load, number, us, 1000.0 * workers, 0.5, errors)


COSTS = [
    cost(1, 0, 20.0),
    cost(2, 0, 21.0),
    cost(2, 1, 44.0, errors=2),
    cost(1, 1, 40.0),
    cost(1, 0, 10.0, "paced"),
    cost(2, 0, 12.0, "paced"),
]
ACCEPTS = [
    AcceptSample("fresh", peer, number, 100.0, 1.0, p99, 5.0, 0) for peer, number, p99 in (("with", 0, 3.0), ("without", 0, 2.0))
]


def test_ratios_are_taken_within_rounds() -> None:
    assert by_round([(0, 2.0), (1, 9.0), (2, 4.0)], [(0, 1.0), (2, 4.0), (3, 7.0)]) == Spread(1.5, 1.0, 2.0)
    assert by_round([(0, 2.0)], [(0, 0.0)]) is None
    assert cost_ratio(COSTS, "p", "full") == Spread(1.0750000000000002, 1.05, 1.1)
    assert accept_ratio(ACCEPTS, "fresh", "with", "without") == Spread(1.5, 1.5, 1.5)


def test_a_second_worker_that_costs_more_than_a_tenth_is_told_so() -> None:
    lines = [" ".join(line.split()) for line in cost_table(COSTS).splitlines()]
    assert lines[2:4] == ["full p 1 30.0 (20.0-40.0) 1000 0.50 0", "2 32.5 (21.0-44.0) 1.08 (1.05-1.10) x yes 2000 0.50 2"]
    assert lines[5:] == ["paced p 1 10.0 1000 0.50 0", "2 12.0 1.20 x NO 2000 0.50 0"]


def test_the_worst_round_decides_about_balance_and_is_shown() -> None:
    samples = [
        BalanceSample("p", 2, 0, (50, 50), 1.0),
        BalanceSample("p", 2, 1, (30, 70), 1.4),
        BalanceSample("q", 2, 0, (55, 45), 1.1),
    ]
    lines = [" ".join(line.split()) for line in balance_table(samples).splitlines()]
    assert lines[2:] == ["2 p 1.20 (1.00-1.40) NO 70 30", "2 q 1.10 yes 55 45"]


def test_the_accept_balance_is_compared_with_its_absence() -> None:
    lines = [" ".join(line.split()) for line in accept_table(ACCEPTS, "with", "without").splitlines()]
    assert lines[2:] == ["fresh with 100 1.00 3.00 1.50 x 5.0 0", "without 100 1.00 2.00 5.0 0"]
