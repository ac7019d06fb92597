"""The watch over the processes that have loaded the rules of living generations: how inspectors fare is counted and told, and where
such a process has ended, or does not get on, another one loads the same rules and gets the workers' sockets.

Workers do not notice: what they ask waits in their sockets meanwhile, each question as long as its route says.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from typing import NamedTuple

from lbproxy.balance.ledger import Header
from lbproxy.errors import ConfigError, StartError
from lbproxy.master.inspection.inspectors import InspectionProcess, Loading
from lbproxy.master.resources.generation import GenerationResources
from lbproxy.master.resources.shared import MasterResources
from lbproxy.observe.log import get_logger

LOOK_EVERY = 0.25
"""Seconds, where nothing wakes the master before."""
AGAIN_AFTER = 10.0
"""Seconds until what could not be loaded is tried again; and the longest from one loading of a generation's rules to the next."""
FIRST_AGAIN, SETTLED = 1.0, 60.0
"""Seconds that another one waits after the first, which begins at once, and twice as many after each, until one lived so long."""


class _Pace(NamedTuple):
    """How often a generation's rules are loaded."""

    begun: float = -SETTLED
    again_after: float = FIRST_AGAIN

    @property
    def due(self) -> float:
        """When it may be begun again."""
        return self.begun + self.again_after


class RuleWatch:
    """One master's watch over its processes with rules. `close` it."""

    def __init__(
        self,
        resources: Mapping[int, GenerationResources],
        serving: Callable[[], tuple[int, GenerationResources] | None],
        shared: MasterResources,
    ) -> None:
        """`resources`: of living generations, by number; `serving`: number and resources of what clients meet."""
        self._resources = resources
        self._serving = serving
        self._shared = shared
        self._loading: dict[int, Loading] = {}
        """By the number of the generation whose process is to be replaced."""
        self._pace: dict[int, _Pace] = {}

    def look(self, now: float) -> None:
        """Everything that is due."""
        serving = self._serving()
        alive = replaced = late = 0
        for number, resources in [*self._resources.items()]:
            if resources.inspectors is not None:
                told = self._look_at(number, resources, resources.inspectors, now)
                alive += told[0] if serving is not None and number == serving[0] else 0
                replaced += told[1]
                late += told[2]
        for number in self._pace.keys() - self._resources.keys():
            del self._pace[number]
            if number in self._loading:
                self._loading.pop(number).close()
        cells, at = self._shared.ledger.cells, Header.INSPECTORS
        cells[at] = alive
        cells[at + 1] += replaced
        cells[at + 2] += late

    def next_deadline(self) -> float:
        """When something is due, monotonic seconds."""
        return time.monotonic() + LOOK_EVERY if self._loading else float("inf")

    def close(self) -> None:
        """What is under way is given up."""
        for loading in self._loading.values():
            loading.close()
        self._loading.clear()

    def close_in_child(self) -> None:
        """Its descriptors are not the child's."""
        for loading in self._loading.values():
            loading.close_in_child()

    def _look_at(
        self, number: int, resources: GenerationResources, inspectors: InspectionProcess, now: float
    ) -> tuple[int, int, int]:
        told = inspectors.heard()
        inspectors.forget_ended()
        why = inspectors.fault(now)
        if number in self._loading:
            self._go_on(number, resources, inspectors, now)
        elif why and now >= self._pace.get(number, _Pace()).due:
            then = "another one takes its place"
            get_logger().error("waf.gone", generation=number, why=f"the process that has loaded the rules: {why}", then=then)
            self._begin(number, resources, now)
        elif told[1] and not why:
            get_logger().warning("waf.inspectors_replaced", generation=number, number=told[1], late=told[2])
        return told

    def _begin(self, number: int, resources: GenerationResources, now: float) -> None:
        before = self._pace.get(number, _Pace())
        settled = now - before.begun >= SETTLED
        self._pace[number] = _Pace(now, FIRST_AGAIN if settled else min(AGAIN_AFTER, before.again_after * 2))
        try:
            self._loading[number] = Loading(resources.config, self._shared.account)
        except (StartError, OSError) as error:
            self._failed(number, str(error))

    def _go_on(self, number: int, resources: GenerationResources, inspectors: InspectionProcess, now: float) -> None:
        loading = self._loading[number]
        if not loading.ready:
            if now >= loading.until:
                del self._loading[number]
                loading.close()
                self._failed(number, loading.late)
            return
        del self._loading[number]
        try:
            fresh = loading.done()
        except (ConfigError, StartError) as error:
            self._failed(number, str(error))
            return
        fresh.succeed(inspectors)
        resources.inspectors = fresh
        get_logger().info("waf.back", generation=number)

    def _failed(self, number: int, why: str) -> None:
        self._pace[number] = self._pace[number]._replace(again_after=AGAIN_AFTER)
        get_logger().error("waf.lost", generation=number, why=why, then=f"again in {AGAIN_AFTER:g} s")
