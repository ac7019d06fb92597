"""The preparation of a reload: the configuration is read anew, its new names are looked up, and all that it needs is opened.

Everything that can be refused is refused here, while nothing has changed. Files may lie on a disk that does not answer
(first_look.py), the look-up of names takes a while (names/asking.py), and so may rules of routes (inspection/inspectors.py):
processes of their own do that, and the master goes on meanwhile.
"""

from __future__ import annotations

import selectors
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from functools import partial
from typing import NamedTuple

from lbproxy.config.model import Config
from lbproxy.config.plan import Plan, effective, plan
from lbproxy.errors import ConfigError, StartError, Unresolved
from lbproxy.master.files.reading import Passing
from lbproxy.master.fleet import events
from lbproxy.master.inspection.inspectors import InspectionProcess, Loading, renewed
from lbproxy.master.names import resolve
from lbproxy.master.names.asking import NameAsker
from lbproxy.master.resources.first_look import FirstLook
from lbproxy.master.resources.generation import GenerationResources
from lbproxy.master.resources.prepare import provide
from lbproxy.master.resources.shared import MasterResources
from lbproxy.master.warnings import warn
from lbproxy.observe import log
from lbproxy.tls.harvest import Harvest


class _Reload(NamedTuple):
    """One that is being prepared."""

    number: int
    wanted: Config
    config: Config


class _AwaitedProcess(NamedTuple):
    """It waits for a process."""

    number: int
    """Of the generation."""
    process: FirstLook | NameAsker | Loading


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
        harvest: Harvest | None = None,
        look: Callable[[Passing], object] | None = None,
    ) -> None:
        """`resources`: of the living generations, by number, where the new one's go; `serving`: those of the one that clients meet;
        `reread`: raises ConfigError; `feed`: takes events for the fleet; `harvest`: gets the pairs that were read with it;
        `look`: looks at all that it reads, in a process apart."""
        self._shared = shared
        self._resources = resources
        self._serving = serving
        self._reread = reread
        self._selector = selector
        self._feed = feed
        self._harvest = harvest
        self._look = look
        self._waiting: _AwaitedProcess | None = None
        self._first: GenerationResources | None = None
        """Those of a start whose rules are loading."""
        self.plans: dict[int, Plan] = {}
        """What each generation that was prepared changes, until somebody takes it out."""

    def begin_first(self, resources: GenerationResources) -> None:
        """Of a start: it is opened, but its rules may be loading yet. What is wrong with them is raised in the turn of the selector
        in which it is heard, or by `look_after`: ConfigError, StartError."""
        if resources.loading is None:
            self._feed(events.Prepared(1, resources.terms))
            return
        self._first = resources
        self._selector.register(resources.loading, selectors.EVENT_READ, self._on_first)

    def begin(self, number: int) -> None:
        """For the generation of that number."""
        with self._refusing(number):
            if self._look is None:
                self._read(number)
            else:
                first = FirstLook(self._look)
                self._await(number, first, partial(self._on_seen, number, first))

    def _on_seen(self, number: int, first: FirstLook, _: int) -> None:
        """The files have just answered."""
        with self._refusing(number):
            if first.hear():
                self.close()
                self._read(number)

    def _read(self, number: int) -> None:
        wanted = self._reread()
        config = effective(self._serving().config, wanted)
        reload = _Reload(number, wanted, config)
        unknown = resolve.unknown(config, self._shared.name_state.addresses)
        if unknown:
            asking = NameAsker(unknown, config.proxy.resolvers)
            self._await(number, asking, partial(self._on_answers, reload, asking))
        else:
            self._load(reload, {})

    def look_after(self, *, stopping: bool) -> None:
        """From time to time: what waits for a process too long, or for nothing any more, is given up. Raises StartError."""
        if self._first is not None and self._first.loading is not None and time.monotonic() >= self._first.loading.until:
            raise StartError(self._first.loading.late)
        if self._waiting is not None and stopping:
            self._give_up("lbproxy stops")
        elif self._waiting is not None and time.monotonic() >= self._waiting.process.until:
            self._give_up(self._waiting.process.late)

    def close(self) -> None:
        """Wait no more, and end whom it waits for."""
        waiting, self._waiting = self._waiting, None
        if waiting is not None:
            self._selector.unregister(waiting.process)
            waiting.process.close()

    def close_in_child(self) -> None:
        """Its descriptors, and what was read, are not the child's."""
        if self._harvest is not None:
            self._harvest.close()
        if self._waiting is not None:
            self._waiting.process.close_in_child()

    def _await(self, number: int, process: FirstLook | NameAsker | Loading, heard: Callable[[int], None]) -> None:
        self._waiting = _AwaitedProcess(number, process)
        self._selector.register(process, selectors.EVENT_READ, heard)

    @contextmanager
    def _refusing(self, number: int) -> Iterator[None]:
        """Whatever goes wrong in here refuses the reload."""
        try:
            yield
        except ConfigError as error:
            self._refuse(number, "\n".join(map(str, error.complaints)))
        except (StartError, OSError) as error:
            self._refuse(number, str(error))
        except Exception as error:  # a fault of ours, and no reason to end what serves
            log.get_logger().error("reload.fault", exc_info=error)
            self._refuse(number, f"{type(error).__name__}: {error}")

    def _refuse(self, number: int, why: str) -> None:
        if self._harvest is not None:
            self._harvest.close()
        self._feed(events.PrepareFailed(number, why))

    def _load(self, reload: _Reload, answers: resolve.Answers) -> None:
        if not reload.config.wafs:
            self._go_on(reload, answers, None)
            return
        loading = Loading(reload.config, self._shared.account)
        self._await(reload.number, loading, partial(self._on_rules, reload, answers, loading))

    def _go_on(self, reload: _Reload, answers: resolve.Answers, rules: InspectionProcess | None) -> None:
        """With what is here: the rest of what `begin` begins."""
        serving = self._serving()
        with ExitStack() as undo:
            if rules is not None:
                undo.callback(rules.close)
            fresh = provide(
                self._shared, reload.config, self._resources.values(), serving, resolve.among(answers), lambda *asked: rules,
                self._harvest,
            )  # fmt: skip
            undo.pop_all()  # they are the generation's now
        touched = [path for path, digest in fresh.digests.items() if serving.digests.get(path, digest) != digest]
        self.plans[reload.number] = plan(serving.config, reload.wanted, touched, renewed(serving.inspectors, fresh.inspectors))
        self._resources[reload.number] = fresh
        warn(*fresh.warnings())
        self._feed(events.Prepared(reload.number, fresh.terms))

    def _on_first(self, _: int) -> None:
        resources, self._first = self._first, None
        assert resources is not None
        assert resources.loading is not None
        loading, resources.loading = resources.loading, None
        self._selector.unregister(loading)
        resources.inspectors = loading.done()
        self._feed(events.Prepared(1, resources.terms))

    def _on_answers(self, reload: _Reload, asking: NameAsker, _: int) -> None:
        try:
            answers = asking.hear()
        except Unresolved as error:
            self._give_up(str(error))
            return
        if answers is not None:
            self.close()
            with self._refusing(reload.number):
                self._load(reload, answers)

    def _on_rules(self, reload: _Reload, answers: resolve.Answers, loading: Loading, _: int) -> None:
        self._waiting = None
        self._selector.unregister(loading)
        with self._refusing(reload.number):
            self._go_on(reload, answers, loading.done())

    def _give_up(self, why: str) -> None:
        waiting = self._waiting
        self.close()
        if waiting is not None:
            self._refuse(waiting.number, why)
