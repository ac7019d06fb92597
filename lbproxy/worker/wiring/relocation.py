"""The relocation of backends, which come and go with the addresses of their names, while requests go on.

From the event loop, so between two steps of any request: pools, the requests that wait in their queues, and idle connections change
together. A request that has its backend finishes there, whatever became of it; its next try goes by the new list.
"""

from __future__ import annotations

from lbproxy.balance.endpoints import endpoints_of_text, relocate
from lbproxy.config.units import parse_backend_address
from lbproxy.ipc.handover import Handover
from lbproxy.ipc.messages import Placed
from lbproxy.proxy.upstream_pool import UpstreamPool
from lbproxy.worker.wiring.pools import Pools, set_backends


class Relocation:
    """The moves of one worker's backends."""

    def __init__(self, handover: Handover, pools: Pools, idle: UpstreamPool) -> None:
        self._handover = handover
        self._pools = pools
        self._idle = idle

    def apply(self, message: Placed) -> None:
        """Do what the master says."""
        settings = self._handover.config.pool(message.pool)
        old = self._handover.backends[message.pool]
        new = relocate(settings, old, parse_backend_address(message.backend), endpoints_of_text(message.endpoints))
        self._handover.backends[message.pool] = new
        there = {backend.slot for backend in new}
        self._idle.backends_moved({backend.slot for backend in old} - there, there)
        set_backends(self._pools, settings, new, self._handover.ledger)
