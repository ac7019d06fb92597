from __future__ import annotations

import pytest

from lbproxy.health.outcome import PASSED, ProbeFinding, ProbeOutcome, number_of, words_of


def test_only_passed_passes() -> None:
    """No other outcome counts for a backend."""
    assert [outcome for outcome in ProbeOutcome if ProbeFinding(outcome).passed] == [ProbeOutcome.PASSED]
    assert PASSED.passed


def test_a_finding_reads_as_a_sentence_for_the_log() -> None:
    """The layer's word, and what came where that says more."""
    assert str(ProbeFinding(ProbeOutcome.REFUSED)) == "connection refused"
    assert str(ProbeFinding(ProbeOutcome.BAD_STATUS, "503")) == "bad status: 503"


@pytest.mark.parametrize(("finding", "words"), [
    (PASSED, ""),
    (ProbeFinding(ProbeOutcome.REFUSED), "connection refused"),
    (ProbeFinding(ProbeOutcome.BAD_STATUS, "503"), "bad status: 503"),
    (ProbeFinding(ProbeOutcome.TLS_FAILURE, "certificate has expired"), "TLS failure"),
])  # fmt: skip
def test_a_finding_is_a_number_for_the_ledger(finding: ProbeFinding, words: str) -> None:
    """Of its details only a status is one."""
    assert words_of(number_of(finding)) == words


def test_numbers_that_are_none() -> None:
    """Whoever wrote them."""
    assert [words_of(number) for number in (-5, 0, 999, 10**6)] == [""] * 4
