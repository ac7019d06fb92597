"""Least time: the backend that would have the answer's head soonest: smallest average time to a head x (in_flight + 1) / weight.

For backends that are not equally fast: a smaller machine, another data centre. nginx's `least_time header` and the peak EWMA of
Finagle and Linkerd are of this kind.

1. The average is a moving one: each answer moves it by an eighth of what it is away (as TCP does with its round trips, RFC 6298),
   counted from the pick to the answer's head, connecting included.
2. Who fails fast is not fast: an answer of 500 and above never makes the average smaller, and where no answer came it counts as
   twice the average, and as a second at least. Requests whose body was still on its way tell nothing but failures: how long a
   client takes is not its backend's.
3. Of whom nothing is known yet counts as the fastest of the others, so that it gets its first requests. Where nothing is known of
   anybody this is least connections.
4. What is known of one that is passed over fades: with each pick that goes elsewhere its average loses 1/512. So one that became
   slow, and then fast again, is asked again: one ten times slower than the others gets a request in about 1,200.
5. Ties are broken by smooth weighted round robin.

Averages stand in the ledger and are one for all workers, as the requests in flight are; nothing is kept per worker. Two workers
that note an answer of the same backend at the same moment may lose one of the two: an average with a sample less. A reload leaves
them as they are.
"""

from __future__ import annotations

from collections.abc import Sequence

from lbproxy.balance.policy import Ground, PickOutcome
from lbproxy.balance.smooth_round_robin import SmoothRoundRobin

PART = 8
"""Of the way to a new sample that the average goes: one over this."""
FADES = 9
"""Of what is known of one that is passed over 1 / 2**FADES is lost with each pick."""
FAILED = 10**9
"""Nanoseconds that a failure counts as at least."""
MOST = 2**42
"""Nanoseconds, more than an hour; nobody sound wrote more."""


class LeastTime:
    """The policy (policy.Policy) that goes by how long answers take."""

    def __init__(self, ground: Ground) -> None:
        self._cells = ground.cells
        self._kept = ground.kept()
        """Cells of averages, in nanoseconds; 0: nothing is known."""
        self._smooth = SmoothRoundRobin(ground.cells, ground.slots)

    def choose(self, usable: Sequence[int], loads: Sequence[int], weights: Sequence[int]) -> int:
        """See Policy. Exact: no floating point."""
        times = [self._average(index) for index in usable]
        unknown = min(filter(None, times), default=1)
        best: list[int] = []
        best_time, best_weight = 1, 0  # more than anybody takes
        for index, average in zip(usable, times, strict=True):
            time, weight = (average or unknown) * (loads[index] + 1), weights[index]
            difference = time * best_weight - best_time * weight
            if difference < 0:
                best, best_time, best_weight = [index], time, weight
            elif difference == 0:
                best.append(index)
        chosen = best[0] if len(best) == 1 else self._smooth.next(best, weights)
        for index, average in zip(usable, times, strict=True):
            if index != chosen:
                self._cells[self._kept[index]] = average - (average >> FADES)
        return chosen

    def ended(self, index: int, seconds: float, outcome: PickOutcome) -> None:
        """See policy.Ended."""
        known, sample = self._average(index), min(max(round(seconds * 1e9), 1), MOST - 1)
        if outcome == PickOutcome.FAILED:
            sample = min(max(sample, 2 * known, FAILED), MOST - 1)
        elif outcome == PickOutcome.ERROR:
            sample = max(sample, known)
        self._cells[self._kept[index]] = known + (sample - known) // PART if known else sample

    def _average(self, index: int) -> int:
        average = self._cells[self._kept[index]]
        return average if 0 < average < MOST else 0


def make(ground: Ground) -> LeastTime:
    """See policy.py."""
    return LeastTime(ground)
