"""The limit of living generations: when a reload waits because of it, who has to make room, and how much. Pure.

1. At once, the oldest lets go of its idle connections (after their grace, which every draining worker grants).
2. After ALL_HURRY_AFTER seconds all of the older ones do: the oldest has tunnels, or a long download.
3. After `drain_timeout` no request is left. If there is still no place, tunnels hold all of them: the oldest loses its own.

So a tunnel lives for as long as it may, unless several generations have some; and a reload waits for `drain_timeout` and a moment
at most.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from lbproxy.master.fleet.child import FOREVER
from lbproxy.master.fleet.generation import Generation, GenerationStage

ALL_HURRY_AFTER = 3.0
"""Seconds; the default grace of idle connections, and one for the processes to leave."""
IDLE_GO, ALL_GO = 1, 2


class Pressure(NamedTuple):
    """New limits for the draining workers of a generation, in seconds from now."""

    generation: Generation
    timeout: float
    idle: float
    tunnel: float


@dataclass(slots=True)
class GenerationLimit:
    """How long the one reload that may be waiting has waited for a generation to end."""

    since: float = FOREVER
    """When it began to wait, monotonic seconds; FOREVER: none does."""

    def over(self) -> None:
        """There is room."""
        self.since = FOREVER

    def press(self, generations: Iterable[Generation], now: float) -> list[Pressure]:
        """What to tell whom, each thing once. There is a retiring one among `generations`."""
        self.since = min(self.since, now)
        waited = now - self.since
        retiring = sorted((one for one in generations if one.stage is GenerationStage.RETIRING), key=lambda one: one.retired)
        oldest = retiring[0]
        orders = []
        for one in retiring if waited >= ALL_HURRY_AFTER else [oldest]:
            if one.pressed < IDLE_GO:
                one.pressed = IDLE_GO
                orders.append(Pressure(one, one.terms.drain_timeout, 0.0, one.terms.tunnel_timeout))
        if waited >= oldest.terms.drain_timeout and oldest.pressed < ALL_GO:
            oldest.pressed = ALL_GO
            orders.append(Pressure(oldest, 0.0, 0.0, 0.0))
        return orders
