"""The less loaded of two that chance picks ("power of two choices": M. Mitzenmacher, 1996).

Nearly as even as least connections, and without the herd: several lbproxies before the same backends, each of which sees only its
own requests, do not all send the next ones to the same backend that looks idle to them.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lbproxy.balance.policy import Ground


class RandomTwo:
    """The policy (policy.Policy) that chooses the less loaded of two that chance picks."""

    __slots__ = ("_chance",)

    ended = None

    def __init__(self, chance: Callable[[], float]) -> None:
        """`chance`: uniform in 0 <= chance < 1."""
        self._chance = chance

    def choose(self, usable: Sequence[int], loads: Sequence[int], weights: Sequence[int]) -> int:
        """See Policy. Backends are drawn in proportion to their weights, two different ones; the first drawn wins a tie."""
        total = 0
        for index in usable:
            weight = weights[index]
            total += weight
        chance = self._chance()
        one = draw(chance * total, usable, weights, -1)
        if len(usable) == 1:
            return one
        of_one = weights[one]
        chance = self._chance()
        two = draw(chance * (total - of_one), usable, weights, one)
        of_two, first, second = weights[two], loads[one], loads[two]
        return two if (second + 1) * of_one < (first + 1) * of_two else one


def draw(left: float, among: Sequence[int], weights: Sequence[int], but: int) -> int:
    """The one of `among` on whose stretch `left` lies, when the weights are laid side by side; `but` is left out."""
    last = -1
    for index in among:
        if index != but:
            weight = weights[index]
            left -= weight
            if left < 0:
                return index
            last = index
    return last  # floating point's last bit


def make(ground: Ground) -> RandomTwo:
    """See policy.py."""
    return RandomTwo(ground.chance)
