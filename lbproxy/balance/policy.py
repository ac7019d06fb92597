"""The interface of a policy: given who may take a request, say who does; and, where it wants to know, what became of the request.

A policy is one file with a class of this interface and a function `make`, and one line in `BALANCE` of config/vocabulary.py, by
which policies.py finds it, and configuration, example and reference know its name.

Policies run while the pick lock is held: they read what they are given, keep what several processes must agree on in the ledger,
and do nothing that waits.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import IntEnum
from typing import NamedTuple, Protocol

from lbproxy.balance.ledger import SlotState, state_at


class PickOutcome(IntEnum):
    """What a backend made of a request, as far as its answer's head tells."""

    ANSWERED = 0  # below 500
    ERROR = 1  # an answer of 500 and above
    FAILED = 2  # no answer: no connection, none in time, one that was refused


Ended = Callable[[int, float, PickOutcome], None]
"""Told of a pick by its index: seconds from the pick until the answer's head was here, or until it was clear that none comes. Not
told of requests whose client left before, nor of answers to a body that was still on its way. Called without the pick lock, while
the lease is still held."""


class Policy(Protocol):
    """Interface. All indexes are those of the pool's backends."""

    def choose(self, usable: Sequence[int], loads: Sequence[int], weights: Sequence[int]) -> int:
        """One of `usable` (not empty, weights > 0); `loads`: requests in flight over all workers."""

    @property
    def ended(self) -> Ended | None:
        """A method of that form, or None for a policy that wants to know nothing."""


class Ground(NamedTuple):
    """What a policy is made on, for the backends of one pool in one worker."""

    cells: memoryview[int]
    """The ledger's, which all workers see."""
    slots: Sequence[int]
    """Those of the backends, by index."""
    chance: Callable[[], float]
    """Uniform in 0 <= chance < 1."""

    def kept(self) -> list[int]:
        """A cell for each backend that a policy may use as it likes. It outlives reloads, begins as 0, and all workers share it:
        what is written there without the pick lock may be overwritten by what another worker writes at the same moment, and one
        that was taken over may write anything."""
        return [state_at(SlotState.POLICY, slot) for slot in self.slots]
