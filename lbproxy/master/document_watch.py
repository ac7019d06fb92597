"""The watch over documents: a file of users that changed goes live in the workers, without a reload.

What cannot be read, or is not good enough, leaves the old one in place, which is told once.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from pathlib import Path

from lbproxy.config.model import Document
from lbproxy.errors import StartError
from lbproxy.ipc.messages import NewDocument
from lbproxy.master.documents import take
from lbproxy.master.prepare import GenerationResources
from lbproxy.master.ticket_watch import Tells
from lbproxy.observe.log import get_logger
from lbproxy.tls.keystore import KeyStore, Piece, Stamp

LOOK_EVERY = 2.0
SETTLING = 0.5
"""Seconds for which a file must have been as it is."""


class DocumentWatch:
    """Looks after the documents of the generation that serves; `look` it from time to time."""

    def __init__(
        self,
        serving: Callable[[], tuple[int, GenerationResources] | None],
        pipes: Tells,
        forget: Callable[[KeyStore, Piece, float], None],
        wall: Callable[[], float] = time.time,
    ) -> None:
        """`serving`: number and resources of what clients meet; `forget`: wipes a piece of a store when everybody has read it."""
        self._serving = serving
        self._pipes = pipes
        self._forget = forget
        self._wall = wall
        self._look_at = 0.0
        self._refused: dict[Path, Stamp | None] = {}

    def look(self, now: float) -> None:
        """Everything that is due. Raises nothing: what cannot be seen to is told, and tried again."""
        serving = self._serving()
        if now < self._look_at or serving is None or serving[1].keys is None:
            return
        self._look_at = now + LOOK_EVERY
        number, resources = serving
        stamps = serving[1].keys.stamps
        self._refused = {path: mark for path, mark in self._refused.items() if path in stamps}
        for index, document in enumerate(resources.config.documents):
            mark = Stamp.at(document.file)
            if mark == stamps.get(document.file):
                self._refused.pop(document.file, None)
            elif self._refused.get(document.file, mark) != mark or document.file not in self._refused:
                self._renew(number, resources, index, document, mark, now)

    def _renew(
        self, number: int, resources: GenerationResources, index: int, document: Document, mark: Stamp | None, now: float
    ) -> None:
        store = resources.keys
        assert store is not None
        if mark is not None and 0 <= self._wall() - mark.modified / 1e9 < SETTLING:
            self._look_at = now + SETTLING
            return
        before = store.stamps[document.file]
        try:
            piece = take(document, store)
        except StartError as error:
            store.stamps[document.file] = before
            self._refused[document.file] = mark
            get_logger().warning("document.refused", file=str(document.file), why=str(error), then="the old one stays")
            return
        self._refused.pop(document.file, None)
        old = resources.documents[index]
        resources.documents = (*resources.documents[:index], piece, *resources.documents[index + 1 :])
        self._pipes.tell_workers(number, NewDocument(index, piece.offset, piece.size))
        self._forget(store, old, now)
        get_logger().info("document.renewed", file=str(document.file))
