"""Rise and fall: from single findings to "up" or "down" by one small counter.

The table, with `streak` the number of findings in a row that speak against the present state:

    state     finding    streak + 1          then
    UNKNOWN   passed     -                   UP at once
    UNKNOWN   failed     -                   DOWN at once
    UP        passed     -                   streak = 0
    UP        failed     reaches `fall`      DOWN, streak = 0; below it: nothing yet
    DOWN      failed     -                   streak = 0
    DOWN      passed     reaches `rise`      UP, streak = 0; below it: nothing yet

The first finding decides alone (as in Envoy, and HAProxy's start is much the same): after a start a working backend gets traffic
after one probe, and a dead one is known to be dead after one. One finding that agrees with the state ends a streak, so a backend
that fails every other probe stays as it is.
"""

from __future__ import annotations

from enum import IntEnum
from typing import NamedTuple

from lbproxy.health.outcome import ProbeFinding


class CheckState(IntEnum):
    """What checks say of a backend. The numbers are those of the ledger's Health."""

    UNKNOWN = 0
    UP = 1
    DOWN = 2


class CheckChange(NamedTuple):
    """The checks say another thing than before."""

    state: CheckState
    why: str


class RiseAndFall:
    """The counter of one backend's findings. `state` may be given to go on where another process stopped."""

    __slots__ = ("_fall", "_rise", "_streak", "state")

    def __init__(self, rise: int, fall: int, state: CheckState = CheckState.UNKNOWN) -> None:
        self._rise = rise
        self._fall = fall
        self._streak = 0
        self.state = state

    def __repr__(self) -> str:
        return f"<RiseAndFall {self.state.name} streak={self._streak} rise={self._rise} fall={self._fall}>"

    @property
    def changing(self) -> bool:
        """Something speaks against the present state, but not often enough yet."""
        return self._streak > 0

    def doubt(self) -> None:
        """Nothing that was seen counts any more: the next finding decides alone."""
        self.state = CheckState.UNKNOWN
        self._streak = 0

    def observe(self, finding: ProbeFinding) -> CheckChange | None:
        """Count one finding; the change if it changed the state."""
        said = CheckState.UP if finding.passed else CheckState.DOWN
        if self.state is said:
            self._streak = 0
            return None
        self._streak += 1
        wanted = 1 if self.state is CheckState.UNKNOWN else self._rise if finding.passed else self._fall
        if self._streak < wanted:
            return None
        change = CheckChange(said, _why(finding, self._streak))
        self.state = said
        self._streak = 0
        return change


def _why(finding: ProbeFinding, streak: int) -> str:
    if finding.passed:
        return f"{streak} checks in a row passed" if streak > 1 else "the check passed"
    return f"{finding} ({streak} checks in a row)" if streak > 1 else str(finding)
