"""The watch over session-ticket keys: when they are others, the workers of all living generations are told. Of their files, where
there are some, it is the judge.

The secrets travel as keys do: they are written into each generation's store, and what is told is where they stand.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import Any, Protocol

from lbproxy.errors import StartError
from lbproxy.ipc.messages import Message, NewTicketKeys
from lbproxy.master.files.looks import Difference, Files, Group, Marks, PairFolder
from lbproxy.master.files.watch import Batch
from lbproxy.master.resources.generation import GenerationResources
from lbproxy.master.resources.ticket_rotation import TicketRotation
from lbproxy.observe.log import get_logger
from lbproxy.tls import rereading, tickets
from lbproxy.tls.keystore import KeyStore, Piece, digest
from lbproxy.tls.rereading import Passing


class Tells(Protocol):
    """What is needed of the children's pipes."""

    def tell_workers(self, number: int, message: Message, /) -> None: ...


class TicketWatch:
    """Carries out what the rotation says; `look` it from time to time."""

    def __init__(
        self,
        serving: Callable[[], tuple[int, GenerationResources] | None],
        resources: Mapping[int, GenerationResources],
        rotation: TicketRotation,
        pipes: Tells,
        forget: Callable[[KeyStore, Piece, float], None],
    ) -> None:
        """`serving`: number and resources of what clients meet; `resources`: of all living generations; `forget`: wipes a piece of
        a store when everybody has read it."""
        self._serving = serving
        self._resources = resources
        self._rotation = rotation
        self._pipes = pipes
        self._forget = forget
        self._files: Files = ()
        self._pending: Marks = ()

    def look(self, now: float) -> None:
        """Everything that is due."""
        serving = self._serving()
        if serving is not None:
            self._rotation.look(serving[1].config.proxy, now, lambda secrets: self._tell(secrets, now))

    # ---- as a Judge

    def begin(self, number: int, resources: GenerationResources) -> None:
        """Another generation serves."""
        self._files, self._pending = tuple(map(str, resources.config.proxy.ticket_keys)), ()

    def watched(self) -> Iterator[Group]:
        """All of them together: the first makes tickets, the others are taken."""
        if self._files:
            yield Group(self._files, self._rotation.stamps)

    def folders(self) -> Iterable[PairFolder]:
        """None of them come and go."""
        return ()

    def noted(self, difference: Difference) -> None:
        """They differ, or another's."""
        if self._files and difference.files == self._files:
            self._pending = difference.marks

    def batch(self, now: float, free: Callable[[Files], bool]) -> Batch | None:
        """All, when one of them differs."""
        if not self._pending or not free(self._files):
            return None
        return Batch(len(self._files), partial(_read, self._files), partial(self._done, self._files, self._pending))

    def _done(self, files: Files, marks: Marks, told: Any, inbox: KeyStore, now: float) -> None:
        if files != self._files:
            return
        if self._pending == marks:
            self._pending = ()
        why, piece, held = told
        self._rotation.stamps = marks
        if why:
            get_logger().warning("tickets.refused", why=why, then="the old ones stay")
        elif self._rotation.take(secrets := tickets.unpacked(inbox.text(*piece))):
            get_logger().info("tickets.renewed", files=[*files])
            for resources in self._resources.values():
                resources.digests |= {Path(file): bytes.fromhex(each) for file, each in zip(files, held, strict=True)}
            self._tell(secrets, now)

    def _tell(self, secrets: tuple[bytes, ...], now: float) -> None:
        for number, resources in self._resources.items():
            resources.ticket_secrets = secrets
            if resources.keys is not None:
                piece = resources.keys.note(tickets.packed(secrets))
                self._pipes.tell_workers(number, NewTicketKeys(piece.offset, piece.size))
                self._forget(resources.keys, piece, now)


def _read(files: Files, inbox: KeyStore, passing: Passing) -> list[object]:
    """In a process apart: why not, or where they stand, and what each file held."""
    try:
        piece = rereading.ticket_secrets([*map(Path, files)], inbox, passing)
    except StartError as error:
        return [str(error), None, []]
    return ["", piece, [digest(Path(file)).hex() for file in files]]
