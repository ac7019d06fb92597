"""The visitors of the metrics port, and who of them gives way when there are too many.

Whoever only connects must not keep the others from asking: a handful of silent connections, renewed now and then, would be a whole
fleet taken out of service by its own health checks. So nobody waits outside. When all places are taken, the one gives way that has
been there for longest among those who have had their answer, else among those who have asked nothing yet, else among all.
"""

from __future__ import annotations

from collections.abc import Iterable
from enum import IntEnum
from typing import Generic, TypeVar

Task = TypeVar("Task")


class VisitorStage(IntEnum):
    """What a connection is at; the lower gives way first."""

    ANSWERED = 0  # all is sent; its peer may close when it likes
    SILENT = 1  # no whole head has come
    ASKING = 2  # its answer is on the way


class Visitor(Generic[Task]):
    """One connection. Whoever serves it moves its stage."""

    __slots__ = ("stage", "task")

    def __init__(self, task: Task) -> None:
        self.task = task
        self.stage = VisitorStage.SILENT

    def __repr__(self) -> str:
        return f"<Visitor {self.stage.name.lower()}>"


class Visitors(Generic[Task]):
    """All of them, the oldest first."""

    def __init__(self, most: int) -> None:
        self._most = most
        self._there: dict[Visitor[Task], None] = {}

    def enter(self, task: Task) -> tuple[Visitor[Task], Task | None]:
        """One more; and the task of the one that gives way, which is to be ended."""
        gives_way = None
        if len(self._there) >= self._most:
            found = min(self._there, key=lambda visitor: visitor.stage)  # the first of several
            self.leave(found)
            gives_way = found.task
        visitor = Visitor(task)
        self._there[visitor] = None
        return visitor, gives_way

    def leave(self, visitor: Visitor[Task]) -> None:
        """It is over; also when it gave way before."""
        self._there.pop(visitor, None)

    def tasks(self) -> Iterable[Task]:
        """Of all that are there."""
        return [visitor.task for visitor in self._there]
