from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.balance.ledger import HealthState
from lbproxy.health.outcome import PASSED, ProbeFinding, ProbeOutcome
from lbproxy.health.rise_and_fall import CheckChange, CheckState, RiseAndFall

REFUSED = ProbeFinding(ProbeOutcome.REFUSED)


def states(checks: RiseAndFall, findings: str) -> str:
    """States after findings; in: p(assed) and f(ailed), out: u(p), d(own), a capital where `observe` told of a change."""
    told = []
    for letter in findings:
        change = checks.observe(PASSED if letter == "p" else REFUSED)
        word = {CheckState.UP: "u", CheckState.DOWN: "d"}[checks.state]
        told.append(word.upper() if change else word)
        assert change is None or change.state is checks.state
    return "".join(told)


@pytest.mark.parametrize(
    ("rise", "fall", "start", "findings", "expected"),
    [
        (2, 3, CheckState.UNKNOWN, "p", "U"),
        (2, 3, CheckState.UNKNOWN, "f", "D"),
        (2, 3, CheckState.UNKNOWN, "ppp", "Uuu"),
        (2, 3, CheckState.UP, "fff", "uuD"),
        (2, 3, CheckState.UP, "ffpff", "uuuuu"),
        (2, 3, CheckState.UP, "ffpfff", "uuuuuD"),
        (2, 3, CheckState.DOWN, "pp", "dU"),
        (2, 3, CheckState.DOWN, "pfpfp", "ddddd"),
        (2, 3, CheckState.DOWN, "pfpp", "dddU"),
        (1, 1, CheckState.UNKNOWN, "pfpf", "UDUD"),
        (2, 3, CheckState.UNKNOWN, "fppfffpp", "DdUuuDdU"),
        (5, 1, CheckState.UP, "fppppp", "DddddU"),
    ],
)
def test_table(rise: int, fall: int, start: CheckState, findings: str, expected: str) -> None:
    """The first finding decides; then `fall` or `rise` in a row; one opposite answer ends a streak; each change is told once."""
    assert states(RiseAndFall(rise, fall, start), findings) == expected


def test_the_change_says_why() -> None:
    """The last failure's word, and how many it took."""
    checks = RiseAndFall(2, 2, CheckState.UP)
    checks.observe(REFUSED)
    bad = ProbeFinding(ProbeOutcome.BAD_STATUS, "503")
    assert checks.observe(bad) == CheckChange(CheckState.DOWN, "bad status: 503 (2 checks in a row)")
    checks.observe(PASSED)
    assert checks.observe(PASSED) == CheckChange(CheckState.UP, "2 checks in a row passed")
    assert RiseAndFall(2, 2).observe(REFUSED) == CheckChange(CheckState.DOWN, "connection refused")
    assert RiseAndFall(2, 2).observe(PASSED) == CheckChange(CheckState.UP, "the check passed")


@given(st.integers(1, 5), st.integers(1, 5), st.lists(st.booleans(), max_size=60))
def test_a_change_always_has_its_streak(rise: int, fall: int, passes: list[bool]) -> None:
    """After the first finding, up needs the last `rise` findings to have passed, and down the last `fall` to have failed."""
    checks = RiseAndFall(rise, fall)
    for count, passed in enumerate(passes, start=1):
        before = checks.state
        change = checks.observe(PASSED if passed else REFUSED)
        assert (change is not None) == (checks.state is not before)
        if change is not None and count > 1:
            needed = rise if passed else fall
            assert passes[count - needed : count] == [passed] * needed
        if count >= max(rise, fall) and len(set(passes[count - max(rise, fall) : count])) == 1:
            assert checks.state is (CheckState.UP if passed else CheckState.DOWN)


def test_states_are_the_ledger_s() -> None:
    """They are what checks alone can tell."""
    assert {state.name: int(state) for state in CheckState} == {health.name: int(health) for health in list(HealthState)[:3]}


def test_changing() -> None:
    """Between the first finding that disagrees and the turn, or the first that agrees again."""
    checks = RiseAndFall(2, 2, CheckState.UP)
    seen = []
    for passed in (True, False, True, False, False, True, True):
        checks.observe(PASSED if passed else REFUSED)
        seen.append(checks.changing)
    assert seen == [False, True, False, True, False, True, False]
