"""The same source to the same backend: rendezvous hashing with bounded load.

Every backend gets a score from the source and its own name, and the source's backends are ranked by it (highest random weight,
D. Thaler and C. Ravishankar, 1998; with weights: score = -weight / ln(uniform)). When a backend leaves, only its own sources move,
each to the next in its ranking; when it comes back, they return. All lbproxies and all restarts rank alike.

Bounded load (V. Mirrokni, M. Thorup and M. Zadimoghaddam, 2016): a backend with more than its share of the requests in flight,
times BOUND, is passed over, so that one busy source cannot sink its backend.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import blake2b
from math import log

BOUND = (5, 4)
"""A backend takes up to 5/4 of its share (and always at least one request)."""
REMEMBERED = 4096
"""Sources whose rankings are remembered; beyond that the memory starts anew."""

_MASK = 2**64 - 1


def number_of(name: bytes) -> int:
    """64 bits that depend on all of `name`; the same in every process and on every machine."""
    return int.from_bytes(blake2b(name, digest_size=8).digest(), "little")


def mix(number: int) -> int:
    """Each bit of the result depends on each of the 64 given (the finaliser of splitmix64)."""
    number = ((number ^ number >> 30) * 0xBF58476D1CE4E5B9) & _MASK
    number = ((number ^ number >> 27) * 0x94D049BB133111EB) & _MASK
    return number ^ number >> 31


class Ranking:
    """Sources to backends, best first."""

    def __init__(self, names: Sequence[str], weights: Sequence[int]) -> None:
        """`names`: what the backends are called on every machine; `weights`: as configured."""
        self._seeds = [number_of(name.encode()) for name in names]
        self._weights = weights
        self._known: dict[bytes, tuple[int, ...]] = {}

    def of(self, source: bytes) -> tuple[int, ...]:
        """Indexes of all backends; those of weight 0 come last."""
        ranking = self._known.get(source)
        if ranking is None:
            if len(self._known) >= REMEMBERED:
                self._known.clear()
            ranking = self._known[source] = self._rank(number_of(source))
        return ranking

    def _rank(self, number: int) -> tuple[int, ...]:
        scores = [
            -weight / log((mix(number ^ seed) + 1) / (_MASK + 2)) if weight else 0.0
            for seed, weight in zip(self._seeds, self._weights, strict=True)
        ]
        return tuple(sorted(range(len(scores)), key=lambda index: -scores[index]))


def within_bound(ranking: Sequence[int], usable: Sequence[int], loads: Sequence[int], weights: Sequence[int]) -> int:
    """The first of `ranking` that may be used and has not more than its share; there always is one when `usable` is not empty.

    The share of a backend is ceil(BOUND * (all requests in flight + 1) * weight / all weights).
    """
    most, per = BOUND
    total, weight = 1, 0
    for index in usable:
        load, own = loads[index], weights[index]
        total += load
        weight += own
    total *= most
    weight *= per
    for index in ranking:
        load, own = loads[index], weights[index]
        if load * weight < total * own and index in usable:
            return index
    return usable[0]
