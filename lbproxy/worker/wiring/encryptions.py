"""TLS to the backends of a worker's pools: the objects that connections are opened with, what is counted of them, and told."""

from __future__ import annotations

from lbproxy.balance.ledger import Scalar, scalar_at
from lbproxy.ipc.handover import Handover
from lbproxy.net.tls_failures import TlsFailure
from lbproxy.observe.log import Noisy
from lbproxy.tls.backend_tls import BackendTls


class Encryptions:
    """Holds the pools that re-encrypt, and tells what becomes of their handshakes."""

    def __init__(self, handover: Handover, noisy: Noisy) -> None:
        self._cells = handover.ledger.cells
        self._child = handover.child
        self._noisy = noisy
        contexts, pools = handover.pool_contexts, handover.config.pools
        self.by_pool = {pool.name: BackendTls(pool.tls, contexts[pool.name]) for pool in pools if pool.tls is not None}
        for encryption in self.by_pool.values():
            encryption.on_handshake = self._on_handshake

    def on_refused(self, place: str, failure: TlsFailure) -> None:
        """With the backend there no TLS comes about."""
        self._cells[scalar_at(self._child, Scalar.BACKEND_HANDSHAKE_FAILURES)] += 1
        self._noisy.warning("backend.tls_failed", backend=place, reason=failure.reason, why=failure.words)

    def _on_handshake(self, resumed: bool) -> None:
        self._cells[scalar_at(self._child, Scalar.BACKEND_HANDSHAKES)] += 1
        self._cells[scalar_at(self._child, Scalar.BACKEND_RESUMED)] += resumed
