"""Several pools, each for its share of the requests.

By turns the shares are exact: of as many requests as the weights come to, each pool gets its weight, and in between it is never a
whole request off (smooth weighted round robin, as in turns.py). Each process counts for itself, which costs nobody a lock, and so
over all of them a share may be off by one request for each; they begin at different places of the round, so that few requests over
many processes do not all go to whoever comes first.

By a hash, the same text goes to the same pool in every process and on every machine, and where weights change only those move who
have to: each pool draws a lot of its own for a text, and the best one wins (weighted rendezvous hashing, C. Schindelhauer and
G. Schomaker, 2005).
"""

from __future__ import annotations

from collections.abc import Sequence
from math import gcd, log

from lbproxy.balance.source_hash import mix, number_of

_GOLDEN = 0.6180339887498949
"""Multiples of it lie far from each other, however many there are."""


_FAR_ENOUGH = 1000
"""Turns of a round that processes' beginnings are spread over: they have to be walked, for each of perhaps thousands of routes."""


class Rounds:
    """Gives out the turns of a split to the requests of one process."""

    __slots__ = ("_current", "_total", "_weights")

    def __init__(self, weights: Sequence[int], begin: int = 0) -> None:
        """`weights`: not all 0; `begin`: a number of this process's own, which tells where in the round it begins."""
        divisor = gcd(*weights)
        self._weights = [weight // divisor for weight in weights]
        self._total = sum(self._weights)
        self._current = [0] * len(weights)
        for _ in range(int(begin * _GOLDEN % 1.0 * min(self._total, _FAR_ENOUGH))):
            self.next()

    def next(self) -> int:
        """Whose turn it is, by index."""
        current = self._current
        chosen = -1
        for index, weight in enumerate(self._weights):
            if weight:
                current[index] += weight
                if chosen < 0 or current[index] > current[chosen]:
                    chosen = index
        current[chosen] -= self._total
        return chosen


class Lots:
    """The same text to the same pool."""

    __slots__ = ("_seeds", "_weights")

    def __init__(self, names: Sequence[str], weights: Sequence[int]) -> None:
        """`weights`: not all 0."""
        self._seeds = [number_of(name.encode()) for name in names]
        self._weights = list(weights)

    def of(self, text: bytes) -> int:
        """Whose it is, by index."""
        number = number_of(text)
        best, chosen = -1.0, -1
        for index, (seed, weight) in enumerate(zip(self._seeds, self._weights, strict=True)):
            if weight:
                lot = weight / -log((mix(number ^ seed) + 1) / (2**64 + 2))
                if lot > best:
                    best, chosen = lot, index
        return chosen
