"""The schedule of probes. Clock readings and randomness come in as arguments; seconds throughout.

All backends are probed from one process: probes at the same instant would make it late for itself, and machines that restart
together would probe a shared backend in step. So the first probes are spread, and each interval is varied a little.
"""

from __future__ import annotations

from typing import NamedTuple

SPREAD = 0.1
"""All first probes start within this many seconds, so that a start knows its backends soon."""
JITTER = 0.1
"""Each interval is up to this share longer or shorter."""
REST = 0.05
"""At least this long between the end of a probe and the next, however short the interval and slow the backend."""


class Pace(NamedTuple):
    """Seconds from check to check."""

    steady: float
    fast: float
    """While a verdict is changing."""
    down: float

    def interval(self, *, down: bool, changing: bool) -> float:
        """Which of them counts now."""
        return self.fast if changing else self.down if down else self.steady


def first(index: int, count: int) -> float:
    """Delay before the first probe of backend number `index` (from 0) of `count`."""
    return SPREAD * index / count


def following(started: float, now: float, interval: float, chance: float) -> float:
    """Delay from `now` to the next probe after one that began at `started`; `chance` is uniform in 0 <= chance < 1.

    Counted from start to start, so that a slow backend is not probed less often than a fast one.
    """
    varied = interval * (1 + JITTER * (2 * chance - 1))
    return max(started + varied - now, REST)
