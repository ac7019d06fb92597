from __future__ import annotations

from lbproxy.health.outcome import PASSED, Finding, Outcome


def test_only_passed_passes() -> None:
    """No other outcome counts for a backend."""
    assert [outcome for outcome in Outcome if Finding(outcome).passed] == [Outcome.PASSED]
    assert PASSED.passed


def test_a_finding_reads_as_a_sentence_for_the_log() -> None:
    """The layer's word, and what came where that says more."""
    assert str(Finding(Outcome.REFUSED)) == "connection refused"
    assert str(Finding(Outcome.BAD_STATUS, "503")) == "bad status: 503"
