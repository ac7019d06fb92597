"""Resources of the master's life: the ledger, and listeners that end."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from lbproxy.balance.ledger import PerSlot, cell_at
from lbproxy.config.model import Address
from lbproxy.master.resources.prepare import prepare
from lbproxy.master.resources.shared import shared_memory
from tests.unit.master.resources.test_prepare import config_of


def test_the_ledger_is_shared_with_a_fork_and_cannot_be_shrunk() -> None:
    """Shrinking a file that others have mapped kills them at their next look (SIGBUS)."""
    fd, ledger, lock = shared_memory()
    child = os.fork()
    if child == 0:
        ledger.cells[cell_at(5, PerSlot.IN_FLIGHT, 7)] = 42
        lock.acquire(True)
        os._exit(0)
    os.waitpid(child, 0)
    assert ledger.cells[cell_at(5, PerSlot.IN_FLIGHT, 7)] == 42
    assert not lock.acquire(False)  # one lock for all
    lock.release()
    with pytest.raises(PermissionError):
        os.ftruncate(fd, 0)


def _newcomer(address: Address) -> int:
    """The state of a connection that was just begun: 1 is established, 2 waits for an answer, 7 was refused (tcp_states.h)."""
    with socket.socket() as sock:
        sock.setblocking(False)
        sock.connect_ex(tuple(address))
        return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO)


def test_stop_listening(tmp_path: Path) -> None:
    """Nobody new gets into the queue of a socket that closes for good, though workers have it open yet; what is kept goes on."""
    config = config_of(tmp_path)
    shared, resources = prepare(config)
    metrics = config.metrics.address
    assert metrics is not None
    [listener] = resources.listeners
    with listener.socket.dup():  # a worker's
        shared.stop_listening(keep={metrics})
        assert set(shared.sockets) == {metrics}
        assert _newcomer(config.listen[0].address) == 2
        assert _newcomer(metrics) == 1
    resources.close()
    shared.close()


def test_a_lent_socket_outlives_us(tmp_path: Path) -> None:
    """The service manager's sockets get no filter: whoever connects while we stop waits for the next lbproxy."""
    config = config_of(tmp_path)
    address = config.listen[0].address
    with socket.create_server(tuple(address)) as managers:
        shared, resources = prepare(config, {address: managers.dup()})
        shared.stop_listening()
        assert _newcomer(address) == 1
        resources.close()
        shared.close()
