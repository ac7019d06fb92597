"""Names that a reload brings along, looked up by a process of its own while the master goes on.

Name servers that do not answer take seconds for each name, and the master has workers to replace, signals to hear and a service
manager to calm. A process and no thread, because the master forks. It tells what came of it as JSON and ends; the master reaps it
like everybody whom it does not know.
"""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Mapping, Sequence
from typing import NoReturn

from lbproxy.config.model import Address
from lbproxy.errors import NameUnknown, Unresolved
from lbproxy.master.system import signals
from lbproxy.names.answer import NameAnswer
from lbproxy.names.lookup import AT_ONCE, LIFETIME, lookup_all

Answers = Mapping[str, NameAnswer | Unresolved]
Lookup = Callable[[Sequence[str], Sequence[Address]], Answers]
MARGIN = 5.0
"""Seconds beyond what the look-ups may take."""


class NameAsker:
    """One such process. `close` it."""

    late = "the process that looks up names does not answer"

    def __init__(self, names: Sequence[str], resolvers: Sequence[Address], lookup: Lookup = lookup_all) -> None:
        """Raises OSError."""
        self.until = time.monotonic() + MARGIN + LIFETIME * -(-len(names) // AT_ONCE)
        """When it is given up."""
        self._heard, said = os.pipe()
        os.set_blocking(self._heard, False)
        self._told = bytearray()
        signals.block()
        try:
            self._pid = os.fork()
            if self._pid == 0:
                _tell(lambda: lookup(names, resolvers), said)
        except OSError:
            os.close(self._heard)
            raise
        finally:
            os.close(said)
            signals.unblock()

    def fileno(self) -> int:
        """Readable when there is something to `hear`."""
        return self._heard

    def hear(self) -> Answers | None:
        """All answers, once they are here. Raises Unresolved when it ended without."""
        try:
            while more := os.read(self._heard, 65536):
                self._told += more
        except BlockingIOError:
            return None
        self._pid = 0  # it is about to end, and to be reaped
        try:
            return {name: _read(answer) for name, answer in json.loads(self._told).items()}
        except ValueError as error:
            raise Unresolved("the process that looks up names ended without an answer") from error

    def close(self) -> None:
        """End it, if it lives."""
        os.close(self._heard)
        if self._pid:
            os.kill(self._pid, signal.SIGKILL)

    def close_in_child(self) -> None:
        """Its descriptor is not the child's."""
        os.close(self._heard)


def _tell(look: Callable[[], Answers], said: int) -> NoReturn:
    try:
        signals.reset_in_child()
        signals.unblock()
        with open(said, "wb") as pipe:
            pipe.write(json.dumps({name: _written(answer) for name, answer in look().items()}).encode())
    finally:
        os._exit(0)


def _written(answer: NameAnswer | Unresolved) -> list[object]:
    return list(answer) if isinstance(answer, NameAnswer) else [isinstance(answer, NameUnknown), str(answer)]


def _read(said: list[object]) -> NameAnswer | Unresolved:
    if len(said) == 2:
        return (NameUnknown if said[0] else Unresolved)(said[1])
    addresses, *rest = said
    return NameAnswer(tuple(addresses), *rest)  # type: ignore[arg-type]  # as _written wrote it
