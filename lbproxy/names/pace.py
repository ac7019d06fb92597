"""The pace of questions: when to ask for a name again.

After an answer: when its time to live is over, but not before FLOOR and not after CEILING, whatever a name server says; spread
over a tenth of it, so that many names, and many lbproxies, do not ask in step. After a failure: soon, then less and less often.
"""

from __future__ import annotations

FLOOR = 1.0
CEILING = 60.0
SPREAD = 0.1
FIRST = 1.0
"""Seconds over which the first questions of a process are spread."""
RETRY_MOST = 15.0
"""Seconds between questions while they fail; the spread comes on top."""


def first(chance: float) -> float:
    """Seconds until a process asks for the first time; `chance`: 0 <= chance < 1."""
    return FIRST * chance


def after_answer(ttl: float, chance: float) -> float:
    """Seconds from an answer to the next question."""
    return min(max(ttl, FLOOR), CEILING / (1 + SPREAD)) * (1 + SPREAD * chance)


def after_failure(failures: int, chance: float) -> float:
    """Seconds from a failure to the next question; `failures`: in a row, this one included."""
    return min(FLOOR * float(2 ** min(failures - 1, 16)), RETRY_MOST) * (1 + SPREAD * chance)
