"""TLS to the backends of a worker's pools."""

from __future__ import annotations

import multiprocessing
import socket
import ssl

from lbproxy.balance.ledger import SIZE, Ledger, Scalar, scalar_at
from lbproxy.config import model
from lbproxy.ipc.handover import Handover
from lbproxy.net.tls_failures import TlsFailure
from lbproxy.observe.log import Noisy
from lbproxy.worker.wiring.encryptions import Encryptions


def test_what_is_counted() -> None:
    """Handshakes, those that resumed, those that failed; a pool without TLS has none."""
    ledger = Ledger(bytearray(SIZE))
    ledger.open_row(0)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    config = model.Config("", (), (), (model.Pool("plain", ()), model.Pool("tls", (), tls=model.PoolTls())))
    one, other = socket.socketpair()
    with one, other:
        handover = Handover(config, 1, 0, 0, ledger, multiprocessing.Lock(), (), {}, {"tls": context}, -1, None, one)
        made = Encryptions(handover, Noisy())
    assert [*made.by_pool] == ["tls"]
    made.by_pool["tls"].on_handshake(False)
    made.by_pool["tls"].on_handshake(True)
    made.on_refused("127.0.0.1:1", TlsFailure("tls_expired", "it has expired"))
    counted = [Scalar.BACKEND_HANDSHAKES, Scalar.BACKEND_RESUMED, Scalar.BACKEND_HANDSHAKE_FAILURES]
    assert [ledger.cells[scalar_at(0, each)] for each in counted] == [2, 1, 1]
