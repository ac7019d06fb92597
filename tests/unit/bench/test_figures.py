"""Medians, spreads and ratios."""

from __future__ import annotations

import pytest

from bench.macro.figures import Sample, Spread, best, order, ratio, rows, spread


def sample(peer: str, number: int, figure: float, case: str = "tiny", errors: int = 0) -> Sample:
    return Sample(case=case, peer=peer, round=number, figure=figure, errors=errors)


def test_a_spread_is_the_median_and_the_ends() -> None:
    assert spread([9.0, 1.0, 2.0]) == Spread(2.0, 1.0, 9.0)


def test_there_is_no_spread_of_nothing() -> None:
    with pytest.raises(ValueError, match="nothing"):
        spread([])


def test_ratios_are_taken_within_a_round_so_that_drift_cancels_out() -> None:
    """The machine was half as fast in the second round, for both."""
    ours = [sample("us", 0, 30.0), sample("us", 1, 60.0)]
    theirs = [sample("them", 1, 40.0), sample("them", 0, 20.0)]
    assert ratio(ours, theirs) == Spread(1.5, 1.5, 1.5)


def test_a_round_without_a_counterpart_or_without_requests_has_no_ratio() -> None:
    ours = [sample("us", 0, 30.0), sample("us", 1, 30.0), sample("us", 2, 30.0)]
    assert ratio(ours, [sample("them", 0, 0.0), sample("them", 2, 10.0)]) == Spread(3.0, 3.0, 3.0)
    assert ratio(ours, []) is None


def test_rows_keep_the_given_order_whoever_was_measured_first() -> None:
    samples = [sample("b", 0, 2.0), sample("a", 0, 1.0), sample("b", 0, 4.0, case="1k")]
    assert [(row.case, row.peer) for row in rows(samples, ["a", "b"], "b")] == [("tiny", "a"), ("tiny", "b"), ("1k", "b")]


def test_a_row_holds_the_ratio_of_the_subject_to_its_peer_and_all_errors() -> None:
    samples = [sample("a", 0, 10.0, errors=1), sample("us", 0, 15.0), sample("a", 1, 20.0, errors=2), sample("us", 1, 20.0)]
    other, subject = rows(samples, ["a", "us"], "us")
    assert other.ratio == Spread(1.25, 1.0, 1.5)
    assert (other.errors, other.rounds, other.figure) == (3, 2, Spread(15.0, 10.0, 20.0))
    assert subject.ratio is None


def test_the_best_of_each_is_compared_whatever_its_round() -> None:
    ours = [sample("us", 0, 30.0), sample("us", 1, 60.0)]
    theirs = [sample("them", 0, 40.0), sample("them", 1, 20.0), sample("them", 2, 0.0)]
    assert best(ours, theirs) == 1.5
    assert best(ours, theirs[2:]) is None


def test_everybody_goes_first_once_in_as_many_turns_as_there_are_peers() -> None:
    names = ["a", "b", "c"]
    turns = [order(names, turn) for turn in range(3)]
    assert sorted(turn[0] for turn in turns) == names
    assert all(sorted(turn) == names for turn in turns)
    assert order(names, 3) == names
