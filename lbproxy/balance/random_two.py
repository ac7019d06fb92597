"""The less loaded of two that chance picks ("power of two choices": M. Mitzenmacher, 1996).

Nearly as even as least connections, and without the herd: several lbproxies before the same backends, each of which sees only its
own requests, do not all send the next ones to the same backend that looks idle to them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence


class RandomTwo:
    """See policy.Policy."""

    def __init__(self, chance: Callable[[], float]) -> None:
        """`chance`: uniform in 0 <= chance < 1."""
        self._chance = chance

    def choose(self, usable: Sequence[int], loads: Sequence[int], weights: Sequence[int]) -> int:
        """See Policy. Backends are drawn in proportion to their weights, two different ones; the first drawn wins a tie."""
        total = sum(weights[index] for index in usable)
        one = self._draw(usable, weights, total)
        if len(usable) == 1:
            return one
        others = [index for index in usable if index != one]
        two = self._draw(others, weights, total - weights[one])
        return two if (loads[two] + 1) * weights[one] < (loads[one] + 1) * weights[two] else one

    def _draw(self, among: Sequence[int], weights: Sequence[int], total: int) -> int:
        left = self._chance() * total
        for index in among:
            left -= weights[index]
            if left < 0:
                return index
        return among[-1]  # floating point's last bit
