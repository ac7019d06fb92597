"""The watch over session-ticket keys: when they are others, the workers of all living generations are told.

The secrets travel as keys do: they are written into each generation's store, and what is told is where they stand.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Protocol

from lbproxy.ipc.messages import Message, NewTicketKeys
from lbproxy.master.prepare import GenerationResources
from lbproxy.master.ticket_rotation import TicketRotation
from lbproxy.tls import tickets
from lbproxy.tls.keystore import KeyStore, Piece


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

    def look(self, now: float) -> None:
        """Everything that is due."""
        serving = self._serving()
        if serving is not None:
            self._rotation.look(serving[1].config.proxy, now, lambda secrets: self._tell(secrets, now))

    def _tell(self, secrets: tuple[bytes, ...], now: float) -> None:
        for number, resources in self._resources.items():
            resources.ticket_secrets = secrets
            if resources.keys is not None:
                piece = resources.keys.note(tickets.packed(secrets))
                self._pipes.tell_workers(number, NewTicketKeys(piece.offset, piece.size))
                self._forget(resources.keys, piece, now)
