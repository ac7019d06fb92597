from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from lbproxy.balance.ledger import Health
from lbproxy.health.outcome import PASSED, Finding, Outcome
from lbproxy.health.verdict import Change, State, Verdict

REFUSED = Finding(Outcome.REFUSED)


def states(verdict: Verdict, findings: str) -> str:
    """States after findings; in: p(assed) and f(ailed), out: u(p), d(own), a capital where `observe` told of a change."""
    told = []
    for letter in findings:
        change = verdict.observe(PASSED if letter == "p" else REFUSED)
        word = {State.UP: "u", State.DOWN: "d"}[verdict.state]
        told.append(word.upper() if change else word)
        assert change is None or change.state is verdict.state
    return "".join(told)


@pytest.mark.parametrize(
    ("rise", "fall", "start", "findings", "expected"),
    [
        (2, 3, State.UNKNOWN, "p", "U"),
        (2, 3, State.UNKNOWN, "f", "D"),
        (2, 3, State.UNKNOWN, "ppp", "Uuu"),
        (2, 3, State.UP, "fff", "uuD"),
        (2, 3, State.UP, "ffpff", "uuuuu"),
        (2, 3, State.UP, "ffpfff", "uuuuuD"),
        (2, 3, State.DOWN, "pp", "dU"),
        (2, 3, State.DOWN, "pfpfp", "ddddd"),
        (2, 3, State.DOWN, "pfpp", "dddU"),
        (1, 1, State.UNKNOWN, "pfpf", "UDUD"),
        (2, 3, State.UNKNOWN, "fppfffpp", "DdUuuDdU"),
        (5, 1, State.UP, "fppppp", "DddddU"),
    ],
)
def test_table(rise: int, fall: int, start: State, findings: str, expected: str) -> None:
    """The first finding decides; then `fall` or `rise` in a row; one opposite answer ends a streak; each change is told once."""
    assert states(Verdict(rise, fall, start), findings) == expected


def test_the_change_says_why() -> None:
    """The last failure's word, and how many it took."""
    verdict = Verdict(2, 2, State.UP)
    verdict.observe(REFUSED)
    assert verdict.observe(Finding(Outcome.BAD_STATUS, "503")) == Change(State.DOWN, "bad status: 503 (2 checks in a row)")
    verdict.observe(PASSED)
    assert verdict.observe(PASSED) == Change(State.UP, "2 checks in a row passed")
    assert Verdict(2, 2).observe(REFUSED) == Change(State.DOWN, "connection refused")
    assert Verdict(2, 2).observe(PASSED) == Change(State.UP, "the check passed")


@given(st.integers(1, 5), st.integers(1, 5), st.lists(st.booleans(), max_size=60))
def test_a_change_always_has_its_streak(rise: int, fall: int, passes: list[bool]) -> None:
    """After the first finding, up needs the last `rise` findings to have passed, and down the last `fall` to have failed."""
    verdict = Verdict(rise, fall)
    for count, passed in enumerate(passes, start=1):
        before = verdict.state
        change = verdict.observe(PASSED if passed else REFUSED)
        assert (change is not None) == (verdict.state is not before)
        if change is not None and count > 1:
            needed = rise if passed else fall
            assert passes[count - needed : count] == [passed] * needed
        if count >= max(rise, fall) and len(set(passes[count - max(rise, fall) : count])) == 1:
            assert verdict.state is (State.UP if passed else State.DOWN)


def test_states_are_the_ledger_s() -> None:
    """They are what checks alone can tell."""
    assert {state.name: int(state) for state in State} == {health.name: int(health) for health in list(Health)[:3]}


def test_changing() -> None:
    """Between the first finding that disagrees and the turn, or the first that agrees again."""
    verdict = Verdict(2, 2, State.UP)
    seen = []
    for passed in (True, False, True, False, False, True, True):
        verdict.observe(PASSED if passed else REFUSED)
        seen.append(verdict.changing)
    assert seen == [False, True, False, True, False, True, False]
