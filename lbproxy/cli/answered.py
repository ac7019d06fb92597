"""Reading with an end: a disk of the network's may not answer, and whoever typed a verb wants to hear which path it is.

A thread reads, and whoever waits for it gives up when it stands still at one path. A process of its own (master/resources/
first_look.py) would have to read everything twice. When all has answered the thread is gone: what forks then forks alone.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Generic, TypeVar

from lbproxy.config.read import Passing
from lbproxy.errors import Complaint, ConfigError

T = TypeVar("T")

LOOKS = 20
LOOK_EVERY = 0.5
"""Seconds. Many short looks, and not one long one: who was stopped for a while himself has missed one of them."""


def answered(read: Callable[[Passing], T]) -> T:
    """What `read` returns or raises; it tells which path it is at, and "" when it is at none. Raises ConfigError when one of them
    does not answer."""
    reading = _ReadApart(read)
    try:
        threading.Thread(target=reading.run, name="reading", daemon=True).start()  # one that hangs ends with the process
    except RuntimeError:  # no memory for its stack, or too many threads: what else is wanted will say so
        reading.run()
    place, looks = "", 0
    while not reading.over.wait(LOOK_EVERY):
        before, place = place, reading.place
        looks = looks + 1 if place and place == before else 0
        if looks == LOOKS:
            hint = "a disk of the network's that is away, or a pipe that nobody writes into"
            raise ConfigError([Complaint(place, 0, "", f"nothing is heard of it for {LOOKS * LOOK_EVERY:g} s", hint)])
    return reading.outcome()


class _ReadApart(Generic[T]):
    """What the thread does, and how far it is."""

    def __init__(self, read: Callable[[Passing], T]) -> None:
        self.place = ""
        self.over = threading.Event()
        self._read = read
        self._value: list[T] = []
        self._error: BaseException | None = None

    def run(self) -> None:
        """In the thread."""
        try:
            self._value.append(self._read(self._pass))
        except BaseException as error:  # whoever waits raises it
            self._error = error
        finally:
            self.over.set()

    def outcome(self) -> T:
        """When it is over."""
        if self._error is not None:
            raise self._error
        return self._value[0]

    def _pass(self, path: str) -> None:
        self.place = path
