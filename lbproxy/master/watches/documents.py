"""The judge of documents: a file of users that changed goes live in the workers, without a reload.

What cannot be read, or is not good enough, leaves the old one in place, which is told once.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
from functools import partial
from pathlib import Path
from typing import Any

from lbproxy.config.model import Document
from lbproxy.errors import StartError
from lbproxy.ipc.messages import NewDocument
from lbproxy.master.files.looks import Difference, Files, Group, Marks, PairFolder
from lbproxy.master.files.watch import Batch
from lbproxy.master.resources.documents import take
from lbproxy.master.resources.generation import GenerationResources
from lbproxy.master.watches.tickets import Tells
from lbproxy.observe.log import get_logger
from lbproxy.tls.keystore import KeyStore, Piece, Stamp
from lbproxy.tls.rereading import Passing


class DocumentWatch:
    """Responsible for the documents of the generation that serves."""

    def __init__(self, pipes: Tells, forget: Callable[[KeyStore, Piece, float], None]) -> None:
        """`forget`: wipes a piece of a store when everybody has read it."""
        self._pipes = pipes
        self._forget = forget
        self._number = 0
        self._of: GenerationResources | None = None
        self._live: dict[Files, Marks] = {}
        self._pending: dict[Files, Marks] = {}
        self._refused: dict[Files, Marks] = {}

    def begin(self, number: int, resources: GenerationResources) -> None:
        """Another generation serves, with its documents as they were when it read them."""
        self._number, self._of = number, resources
        assert resources.keys is not None
        stamps = resources.keys.stamps
        self._live = {_files(one): (stamps.get(one.file),) for one in resources.config.documents}
        self._pending, self._refused = {}, {}

    def watched(self) -> Iterator[Group]:
        """Each by itself."""
        for files, marks in self._live.items():
            yield Group(files, marks)

    def folders(self) -> Iterable[PairFolder]:
        """None of them come and go."""
        return ()

    def noted(self, difference: Difference) -> None:
        """One of its own, or another's."""
        files, marks = difference.files, difference.marks
        if files not in self._live or difference.folder is not None:
            return
        if marks == self._live[files]:
            self._pending.pop(files, None)
            self._refused.pop(files, None)
        elif self._refused.get(files) != marks:
            self._pending[files] = marks

    def batch(self, now: float, free: Callable[[Files], bool]) -> Batch | None:
        """Those that differ."""
        if self._of is None:
            return None
        due = {files: marks for files, marks in self._pending.items() if free(files)}
        wanted = [one for one in self._of.config.documents if _files(one) in due]
        if not wanted:
            return None
        return Batch(len(wanted), partial(_read, wanted), partial(self._done, self._of, wanted, due))

    def _done(
        self, resources: GenerationResources, wanted: Sequence[Document], due: dict[Files, Marks], told: Any, inbox: KeyStore,
        now: float,
    ) -> None:  # fmt: skip
        if resources is not self._of:
            return
        for document, (why, piece, stamp) in zip(wanted, told, strict=True):
            files = _files(document)
            if self._pending.get(files) == due[files]:
                del self._pending[files]
            if why:
                self._refused[files] = due[files]
                get_logger().warning("document.refused", file=str(document.file), why=why, then="the old one stays")
            else:
                self._live[files] = (Stamp(*stamp),)
                self._refused.pop(files, None)
                self._renew(resources, document, Piece(*piece), inbox, now)

    def _renew(self, resources: GenerationResources, document: Document, piece: Piece, inbox: KeyStore, now: float) -> None:
        store, index = resources.keys, resources.config.documents.index(document)
        assert store is not None
        own = store.copy(inbox, piece)
        old = resources.documents[index]
        resources.documents = (*resources.documents[:index], own, *resources.documents[index + 1 :])
        resources.digests[document.file] = hashlib.sha256(store.text(*own)).digest()
        self._pipes.tell_workers(self._number, NewDocument(index, own.offset, own.size))
        self._forget(store, old, now)
        get_logger().info("document.renewed", file=str(document.file))


def _files(document: Document) -> Files:
    return (str(document.file),)


def _read(wanted: Sequence[Document], inbox: KeyStore, passing: Passing) -> list[object]:
    """In a process apart: why not, or where it stands, and its stamp."""
    found: list[object] = []
    for document in wanted:
        passing(str(document.file))
        try:
            found.append(["", take(document, inbox), inbox.stamps[Path(document.file)]])
        except StartError as error:
            found.append([str(error), None, None])
    return found
