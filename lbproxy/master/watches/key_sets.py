"""The master's part in sets of keys that are fetched: what control has learned goes live in the workers, and is told to operators.

The master looks at no key: it checks that the set is one of the configuration's, puts it into the store of the generation that
serves, and says where. Workers look at it, as control has done.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from lbproxy.ipc.messages import KeySetState, KeysFetched, KeysWanted, Message, NewDocument
from lbproxy.master.fleet.child import Role
from lbproxy.master.processes.spawn import Running
from lbproxy.master.resources.generation import GenerationResources
from lbproxy.observe.log import get_logger
from lbproxy.tls.keystore import KeyStore, Piece

EARLIEST = 1.0
"""Seconds from one wish of the workers that is passed on to the next, of each set."""


class KeySetPipes(Protocol):
    """What is needed of the children's pipes."""

    def single(self, number: int, role: Role, /) -> Running | None: ...
    def tell(self, row: int, message: Message, /) -> None: ...
    def tell_workers(self, number: int, message: Message, /) -> None: ...


class KeySetWatch:
    """What is known of the sets of the generation that serves."""

    def __init__(
        self,
        resources: Mapping[int, GenerationResources],
        serving: Callable[[], tuple[int, GenerationResources] | None],
        pipes: KeySetPipes,
        forget: Callable[[KeyStore, Piece, float], None],
    ) -> None:
        """`resources`: of living generations, by number; `serving`: number and resources of what clients meet; `forget`: wipes a
        piece of a store when everybody has read it."""
        self._resources = resources
        self._serving = serving
        self._pipes = pipes
        self._forget = forget
        self._states: dict[str, KeySetState] = {}
        self._wanted: dict[str, float] = {}

    def heard(self, message: KeysFetched | KeySetState | KeysWanted, now: float) -> None:
        """Control said this, or a worker; of any generation: a set has the same name in all, also in one that is not Ready yet."""
        for number, resources in self._resources.items():
            at = _place(resources, message.name)
            if at < 0:
                continue
            if isinstance(message, KeysFetched):
                self._renew(number, resources, at, message.keys.encode("ascii"), now)
            elif isinstance(message, KeySetState):
                self._states[message.name] = message
        self._states = {name: state for name, state in self._states.items() if self._known(name)}
        if isinstance(message, KeysWanted) and self._known(message.name):
            self._pass_on(message, now)

    def _known(self, name: str) -> bool:
        return any(_place(resources, name) >= 0 for resources in self._resources.values())

    def _pass_on(self, message: KeysWanted, now: float) -> None:
        serving = self._serving()
        if serving is None or now - self._wanted.get(message.name, -EARLIEST) < EARLIEST:
            return
        self._wanted = {name: when for name, when in self._wanted.items() if self._known(name)} | {message.name: now}
        control = self._pipes.single(serving[0], Role.CONTROL)
        if control is not None:
            self._pipes.tell(control.row, message)

    def told(self) -> Sequence[dict[str, Any]]:
        """How each of the generation that serves stands, for operators."""
        serving = self._serving()
        if serving is None:
            return ()
        found = []
        for keys in serving[1].config.key_sets:
            state = self._states.get(keys.name, KeySetState(keys.name, 0, 0, 0, "not fetched yet"))
            found.append({"url": keys.url, **state._asdict()})
        return found

    def _renew(self, number: int, resources: GenerationResources, at: int, content: bytes, now: float) -> None:
        store, old = resources.keys, resources.documents[at]
        if store is None or (old.size == len(content) and store.text(*old) == content):
            return
        piece = store.note(content)
        resources.documents = (*resources.documents[:at], piece, *resources.documents[at + 1 :])
        self._pipes.tell_workers(number, NewDocument(at, piece.offset, piece.size))
        if old.size:
            self._forget(store, old, now)
        get_logger().debug("jwks.shown", document=at, size=piece.size)


def _place(resources: GenerationResources, name: str) -> int:
    """Among what workers go by; -1: it is not there."""
    config = resources.config
    return next((at for at, keys in enumerate(config.key_sets, len(config.documents)) if keys.name == name), -1)
