"""TLS to the backends of a worker's pools."""

from __future__ import annotations

import multiprocessing
import os
import socket
import ssl
from contextlib import closing
from pathlib import Path

import pytest

from lbproxy.balance.ledger import SIZE, Ledger, Scalar, scalar_at
from lbproxy.config import model
from lbproxy.ipc.handover import Handover
from lbproxy.ipc.messages import NewPoolFiles
from lbproxy.net.tls_failures import TlsFailure
from lbproxy.observe.log import Noisy
from lbproxy.proxy.upstream_pool import UpstreamPool
from lbproxy.tls import contexts, pool_files
from lbproxy.tls.keystore import KeyStore
from lbproxy.worker.wiring.encryptions import Encryptions
from tests.unit.proxy.test_upstream_pool import upstream
from tests.unit.tls.handshakes import Issuer, Joined, serving


def test_what_is_counted() -> None:
    """Handshakes, those that resumed, those that failed; a pool without TLS has none."""
    ledger = Ledger(bytearray(SIZE))
    ledger.open_row(0)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    config = model.Config("", (), (), (model.PoolConfig("plain", ()), model.PoolConfig("tls", (), tls=model.PoolTlsConfig())))
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


def test_other_files(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    """Count for connections from then on, and what is idle is closed; what cannot be used changes nothing, and is told."""
    old, new = Issuer(tmp_path, "old"), Issuer(tmp_path, "new")
    pool = model.PoolConfig("app", (), tls=model.PoolTlsConfig(ca=old.file))
    renewed = model.PoolConfig("app", (), tls=model.PoolTlsConfig(ca=new.file))
    ledger = Ledger(bytearray(SIZE))
    ledger.open_row(0)
    idle = UpstreamPool(lambda: 0.0)
    connection, stream = upstream()
    idle.put(connection, 0.0)
    one, other = socket.socketpair()
    with one, other:
        made = Encryptions(
            Handover(
                model.Config("", (), (), (pool,)), 1, 0, 0, ledger, multiprocessing.Lock(), (), {"app": (connection.backend,)},
                {"app": contexts.client_context(pool)}, -1, None, one,
            ),
            Noisy(),
        )  # fmt: skip
    server = serving(*new.issue("app.test"))
    before = made.by_pool["app"].context
    with closing(KeyStore()) as store:
        for pieces in ("nonsense", "[null]", pool_files.told(pool_files.PoolPieces(store.note(b"nothing"), None, None, None))):
            made.renew(NewPoolFiles("app", pieces), os.dup(store.fileno()), idle)
        made.renew(NewPoolFiles("app", "[]"), -1, idle)
        assert made.by_pool["app"].context is before
        captured = capfd.readouterr()
        assert (captured.out + captured.err).count("pool.unusable") == 3
        assert stream.closed == 0
        read = contexts.read_pool(renewed, store)
        text = pool_files.told(pool_files.copied(pool, read, before, store))
        made.renew(NewPoolFiles("app", text), os.dup(store.fileno()), idle)
    Joined(made.by_pool["app"].context, server, "app.test").shake()
    assert stream.closed == 1
    assert not made._outdated(connection)  # it is none of TLS
