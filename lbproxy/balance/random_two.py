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
        total = sum([weights[index] for index in usable])
        one = draw(self._chance() * total, usable, weights, -1)
        if len(usable) == 1:
            return one
        two = draw(self._chance() * (total - weights[one]), usable, weights, one)
        return two if (loads[two] + 1) * weights[one] < (loads[one] + 1) * weights[two] else one


def draw(left: float, among: Sequence[int], weights: Sequence[int], but: int) -> int:
    """The one of `among` on whose stretch `left` lies, when the weights are laid side by side; `but` is left out."""
    last = -1
    for index in among:
        if index != but:
            left -= weights[index]
            if left < 0:
                return index
            last = index
    return last  # floating point's last bit
