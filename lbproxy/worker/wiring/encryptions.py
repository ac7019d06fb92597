"""TLS to the backends of a worker's pools: the objects that connections are opened with, what is counted of them, and told."""

from __future__ import annotations

from lbproxy.balance.ledger import Scalar, scalar_at
from lbproxy.errors import StartError
from lbproxy.ipc.handover import Handover
from lbproxy.ipc.messages import NewPoolFiles
from lbproxy.net.tls_failures import TlsFailure
from lbproxy.net.tls_stream import TlsStream
from lbproxy.observe.log import Noisy, get_logger
from lbproxy.proxy.upstream import Upstream
from lbproxy.proxy.upstream_pool import UpstreamPool
from lbproxy.tls.backend_tls import BackendTls
from lbproxy.tls.pool_files import context_from


class Encryptions:
    """Holds the pools that re-encrypt, and tells what becomes of their handshakes."""

    def __init__(self, handover: Handover, noisy: Noisy) -> None:
        self._handover = handover
        self._cells = handover.ledger.cells
        self._child = handover.child
        self._noisy = noisy
        contexts, pools = handover.pool_contexts, handover.config.pools
        self.by_pool = {pool.name: BackendTls(pool.tls, contexts[pool.name]) for pool in pools if pool.tls is not None}
        for encryption in self.by_pool.values():
            encryption.on_handshake = self._on_handshake

    def renew(self, message: NewPoolFiles, descriptor: int, idle: UpstreamPool) -> None:
        """What the master says: connections are begun with these files from now on, and none is kept that was begun without."""
        if descriptor < 0:
            return
        pool = self._handover.config.pool(message.pool)
        try:
            context = context_from(pool, message.pieces, descriptor)
        except StartError as error:
            get_logger().error("pool.unusable", pool=pool.name, why=str(error), then="its old files stay")
            return
        self.by_pool[pool.name].renew(context)
        idle.renewed(pool.name, [backend.slot for backend in self._handover.backends[pool.name]], self._outdated)

    def _outdated(self, upstream: Upstream) -> bool:
        encryption = self.by_pool.get(upstream.backend.pool)
        if encryption is None or not isinstance(upstream.stream, TlsStream):
            return False
        return upstream.stream.session_object().context is not encryption.context

    def on_refused(self, place: str, failure: TlsFailure) -> None:
        """With the backend there no TLS comes about."""
        self._cells[scalar_at(self._child, Scalar.BACKEND_HANDSHAKE_FAILURES)] += 1
        self._noisy.warning("backend.tls_failed", backend=place, reason=failure.reason, why=failure.words)

    def _on_handshake(self, resumed: bool) -> None:
        self._cells[scalar_at(self._child, Scalar.BACKEND_HANDSHAKES)] += 1
        self._cells[scalar_at(self._child, Scalar.BACKEND_RESUMED)] += resumed
