"""The preparation of a reload: the configuration is read anew, its new names are looked up, and all that it needs is opened.

Everything that can be refused is refused here, while nothing has changed. Only the look-up of names takes a while (asking.py): the
master goes on meanwhile, and comes back when the answers are here.
"""

from __future__ import annotations

import os
import selectors
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import NamedTuple

from lbproxy.config.model import Config
from lbproxy.config.plan import Plan, effective, plan
from lbproxy.errors import ConfigError, StartError, Unresolved
from lbproxy.master import resolve
from lbproxy.master.asking import Asking
from lbproxy.master.fleet import events
from lbproxy.master.prepare import GenerationResources, MasterResources, provide
from lbproxy.master.warnings import warn
from lbproxy.observe import log


class _Asked(NamedTuple):
    """A reload up to its names."""

    asking: Asking
    number: int
    wanted: Config
    config: Config


class Preparation:
    """What answers the fleet's Prepare with Prepared or PrepareFailed, one reload at a time. `close` it."""

    def __init__(
        self,
        shared: MasterResources,
        resources: dict[int, GenerationResources],
        serving: Callable[[], GenerationResources],
        reread: Callable[[], Config],
        selector: selectors.BaseSelector,
        feed: Callable[[events.Event], None],
    ) -> None:
        """`resources`: of the living generations, by number, where the new one's go; `serving`: those of the one that clients meet;
        `reread`: raises ConfigError; `feed`: takes events for the fleet."""
        self._shared = shared
        self._resources = resources
        self._serving = serving
        self._reread = reread
        self._selector = selector
        self._feed = feed
        self._asked: _Asked | None = None
        self.plans: dict[int, Plan] = {}
        """What each generation that was prepared changes, until somebody takes it out."""

    def begin(self, number: int) -> None:
        """For the generation of that number."""
        with self._refusing(number):
            wanted = self._reread()
            config = effective(self._serving().config, wanted)
            unknown = resolve.unknown(config, self._shared.name_state.addresses)
            if unknown:
                self._asked = _Asked(Asking(unknown, config.proxy.resolvers), number, wanted, config)
                self._selector.register(self._asked.asking, selectors.EVENT_READ, self._on_answers)
            else:
                self._go_on(number, wanted, config, {})

    def look_after(self, *, stopping: bool) -> None:
        """From time to time: what waits for answers too long, or for nothing any more, is given up."""
        if self._asked is not None and stopping:
            self._give_up("lbproxy stops")
        elif self._asked is not None and time.monotonic() >= self._asked.asking.until:
            self._give_up("the process that looks up names does not answer")

    def close(self) -> _Asked | None:
        """Ask no more; what was asked."""
        asked, self._asked = self._asked, None
        if asked is not None:
            self._selector.unregister(asked.asking)
            asked.asking.close()
        return asked

    def close_in_child(self) -> None:
        """Its descriptor is not the child's."""
        if self._asked is not None:
            os.close(self._asked.asking.fileno())

    @contextmanager
    def _refusing(self, number: int) -> Iterator[None]:
        """Whatever goes wrong in here refuses the reload."""
        try:
            yield
        except ConfigError as error:
            self._feed(events.PrepareFailed(number, "\n".join(map(str, error.complaints))))
        except (StartError, OSError) as error:
            self._feed(events.PrepareFailed(number, str(error)))
        except Exception as error:  # a fault of ours, and no reason to end what serves
            log.get_logger().error("reload.fault", exc_info=error)
            self._feed(events.PrepareFailed(number, f"{type(error).__name__}: {error}"))

    def _go_on(self, number: int, wanted: Config, config: Config, answers: resolve.Answers) -> None:
        """With the answers that are here: the rest of what `begin` begins."""
        serving = self._serving()
        fresh = provide(self._shared, config, self._resources.values(), serving, resolve.among(answers))
        touched = [path for path, digest in fresh.digests.items() if serving.digests.get(path, digest) != digest]
        self.plans[number] = plan(serving.config, wanted, touched)
        self._resources[number] = fresh
        warn(*fresh.warnings())
        self._feed(events.Prepared(number, fresh.terms))

    def _on_answers(self, _: int) -> None:
        asked = self._asked
        assert asked is not None
        try:
            answers = asked.asking.hear()
        except Unresolved as error:
            self._give_up(str(error))
            return
        if answers is not None:
            self.close()
            with self._refusing(asked.number):
                self._go_on(asked.number, asked.wanted, asked.config, answers)

    def _give_up(self, why: str) -> None:
        if (asked := self.close()) is not None:
            self._feed(events.PrepareFailed(asked.number, why))
