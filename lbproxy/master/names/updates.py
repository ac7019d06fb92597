"""Addresses that `control` has learned, acted on: the ledger gets slots for new addresses, every generation new backends, every
child the news. No fork, no reload.

`control` only says what a name server said; it is unprivileged and may be taken over. So here it is checked that the name is one of
ours and that the addresses are addresses, in the form that control itself makes. What it can do with a lie is what the name server
could do with one.

All living generations follow, those that drain, too: their requests still choose backends. Children of a program before this one
(succession/upgrade.py) do not; they drain, and may not know the message.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from typing import NamedTuple

from lbproxy.balance import endpoints
from lbproxy.balance.backend import Backend
from lbproxy.balance.endpoints import Endpoint
from lbproxy.config.model import Address, PoolConfig
from lbproxy.errors import FrameError, StartError
from lbproxy.ipc.messages import Placed, Resolved
from lbproxy.master.resources.generation import GenerationResources
from lbproxy.master.resources.shared import MasterResources
from lbproxy.names.answer import literal_addresses
from lbproxy.observe import log


class _Use(NamedTuple):
    """A backend that is written with the name, in one generation."""

    generation: int
    resources: GenerationResources
    pool: PoolConfig
    address: Address

    def identity(self, ip: str) -> str:
        """Of the backend at this address."""
        return endpoints.identity_at(self.pool.name, self.address, ip)


class _Move(NamedTuple):
    """The backends that one use of a name has gained and lost."""

    use: _Use
    there: list[Endpoint]
    added: list[Backend]
    removed: list[Backend]


class AddressUpdates:
    """Acts on new addresses for all living generations of one master."""

    def __init__(
        self,
        shared: MasterResources,
        resources: Mapping[int, GenerationResources],
        tell: Callable[[int, Placed], None],
        forget: Callable[[str, Iterable[str]], None],
    ) -> None:
        """`resources`: of the living generations, by number. `tell` sends to all children of one; `forget` is told of backends of
        a pool that are gone: what was said of them means nothing any more."""
        self._shared = shared
        self._resources = resources
        self._tell = tell
        self._forget = forget

    def heard(self, message: Resolved) -> None:
        """From control. Raises FrameError for what no control of ours says."""
        try:
            addresses = literal_addresses(message.addresses)
        except ValueError as error:
            raise FrameError(f"Resolved.addresses: {error}") from error
        known = self._shared.name_state.addresses.get(message.name)
        if known is None or known == addresses:
            return  # a reload dropped the name meanwhile; or it was told twice
        uses = list(self._uses(message.name))
        try:
            slots = self._assign([use.identity(ip) for use in uses for ip in addresses])
        except StartError as error:
            log.get_logger().warning("names.no_room", name=message.name, why=str(error))  # control will say it again
            return
        self._shared.name_state.addresses[message.name] = addresses
        before = self._slots()
        moves = [_move(use, [Endpoint(ip, slots[use.identity(ip)]) for ip in addresses]) for use in uses]
        self._shared.name_state.leave(before - self._slots(), time.monotonic())
        for move in moves:
            self._shared.name_state.begin(self._shared.ledger, move.added, before)
            for backend in move.added:  # also one whose slot an older generation has kept meanwhile
                self._shared.name_state.obey(self._shared.ledger, backend)
        for move in moves:
            text = endpoints.endpoints_as_text(move.there)
            self._tell(move.use.generation, Placed(move.use.pool.name, str(move.use.address), text))
        self._log(moves)

    def _uses(self, name: str) -> Iterator[_Use]:
        for number, resources in sorted(self._resources.items()):
            for pool in resources.config.pools:
                if resources.backends.get(pool.name):
                    addresses = (written.address for written in pool.backends if written.address.host == name)
                    yield from (_Use(number, resources, pool, address) for address in addresses)

    def _assign(self, identities: Collection[str]) -> Mapping[str, int]:
        """Their slots. Raises StartError when there is no room."""
        taken = self._shared.name_state.taken(self._shared.ledger, self._resources.values(), time.monotonic())
        assignment = self._shared.slot_table.assign(identities, taken)
        for slot in assignment.fresh:
            self._shared.ledger.forget_slot(slot)
        return assignment.slots

    def _slots(self) -> frozenset[int]:
        return frozenset[int]().union(*(resources.slots for resources in self._resources.values()))

    def _log(self, moves: Iterable[_Move]) -> None:
        """Each once, though several generations have it; the newest one's words."""
        for (pool, address), move in {(move.use.pool.name, move.use.address): move for move in moves}.items():
            added, removed = [backend.name for backend in move.added], [backend.name for backend in move.removed]
            self._forget(pool, removed)
            log.get_logger().info("names.changed", pool=pool, name=str(address), added=added, removed=removed)


def _move(use: _Use, there: list[Endpoint]) -> _Move:
    """Give the generation its new backends."""
    backends = use.resources.backends
    old = backends[use.pool.name]
    new = backends[use.pool.name] = endpoints.relocate(use.pool, old, use.address, there)
    before, after = {backend.slot for backend in old}, {backend.slot for backend in new}
    use.resources.slots = use.resources.slots - before | after
    return _Move(use, there, [one for one in new if one.slot not in before], [one for one in old if one.slot not in after])
