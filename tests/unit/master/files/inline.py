"""Who looks at files, and who reads them, without processes: in the clock of a test."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable
from typing import Any

from lbproxy.master.files.looks import Difference, GenerationLooks, Group, PairFolder
from lbproxy.master.files.reading import Work
from lbproxy.master.files.watch import FileWatch, Judge
from lbproxy.master.resources.generation import GenerationResources
from lbproxy.tls.keystore import KeyStore


class InlineLooker:
    """Looks when it is asked, if it is time to."""

    pid = 0
    passing = ""

    def __init__(self, looks: GenerationLooks, clock: Callable[[], float]) -> None:
        self._looks = looks
        self._clock = clock
        self.due = 0.0

    def hear(self) -> list[list[Difference]]:
        if self._clock() < self.due:
            return []
        found, again = self._looks.look(self._clock())
        self.due = self._clock() + again
        return [found]

    def kill(self) -> None:
        pass

    def close(self) -> None:
        pass


class InlineReader:
    """Has read when it is begun."""

    pid = 0
    passing = ""

    def __init__(self, work: Work) -> None:
        self.inbox = KeyStore()
        self._told = json.loads(json.dumps(work(self.inbox, lambda path: None)))

    def hear(self) -> Any:
        return self._told

    def kill(self) -> None:
        raise AssertionError("nobody to kill")

    def close(self) -> None:
        self.inbox.close()


class InlineWatch:
    """A FileWatch of one judge, by such clocks."""

    def __init__(
        self, resources: Callable[[], GenerationResources], judge: Judge, clock: Callable[[], float], wall: Callable[[], float]
    ) -> None:
        self.lookers: list[InlineLooker] = []

        def begin(groups: Iterable[Group], folders: Iterable[PairFolder], _: GenerationResources) -> InlineLooker:
            self.lookers.append(InlineLooker(GenerationLooks(groups, folders, wall=wall), clock))
            return self.lookers[-1]

        self._clock = clock
        self.watch = FileWatch(lambda: (1, resources()), [judge], begin, InlineReader)

    def look(self) -> None:
        self.watch.look(self._clock())

    @property
    def due(self) -> float:
        """When it is looked again."""
        return self.lookers[-1].due
