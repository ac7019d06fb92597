"""Everything that is opened before the first fork, and that nothing stays open when it fails."""

from __future__ import annotations

import mmap
import os
import socket
from dataclasses import replace
from pathlib import Path

import pytest

from lbproxy.balance.ledger import RETIRED, Header, PerBackend, cell_at
from lbproxy.config.model import Address, Backend, Config, Limits, Listen, Log, Metrics, Pool, Process, Route
from lbproxy.errors import StartError
from lbproxy.master.prepare import LEDGER_NAME, MOST_WORKERS, count_workers, prepare, shared_memory
from tests.support.ports import free_port


def config_of(tmp_path: Path) -> Config:
    pool = Pool("web", (Backend(Address("127.0.0.1", 9001)), Backend(Address("127.0.0.1", 9002))))
    return Config(
        "proxy.toml",
        listen=(Listen(Address("127.0.0.1", free_port())),),
        routes=(Route("web"),),
        pools=(pool,),
        proxy=Process(workers=3, pid_file=tmp_path / "pid"),
        log=Log(access=str(tmp_path / "access.log")),
        metrics=Metrics(Address("127.0.0.1", free_port())),
        limits=Limits(connections_per_worker=100),
    )


def descriptors() -> set[str]:
    found = set()
    for fd in os.listdir("/proc/self/fd"):
        try:
            found.add(f"{fd} {os.readlink(f'/proc/self/fd/{fd}')}")
        except FileNotFoundError:
            continue  # the listing's own
    return found


def test_all_of_it(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    estate, provision = prepare(config)
    try:
        [listener] = provision.listeners
        assert listener.listen is config.listen[0]
        assert listener.socket.getsockname() == tuple(config.listen[0].address)
        assert listener.context is None  # no certificates: plain
        assert provision.workers == 3
        assert [backend.slot for backend in provision.backends["web"]] == [0, 1]
        assert os.readlink(f"/proc/self/fd/{provision.access_fd}") == config.log.access
        assert provision.metrics_socket is not None
        assert estate.ledger.cells[Header.GENERATION] == 1
        assert estate.warnings == ()
        assert estate.pid_file is not None
        assert (tmp_path / "pid").exists()
    finally:
        provision.close()
        provision.close()  # twice is fine
        assert estate.pid_file is not None
        estate.pid_file.release()


@pytest.mark.parametrize("fault", ["listen", "metrics", "log", "pid", "backend"])
def test_a_failure_leaves_nothing_open_and_no_pid_file(tmp_path: Path, fault: str) -> None:
    config = config_of(tmp_path)
    nowhere = Address("192.0.2.1", 9)  # RFC 5737: nobody's address
    faulty = {
        "listen": replace(config, listen=(*config.listen, Listen(nowhere))),
        "metrics": replace(config, metrics=Metrics(nowhere)),
        "log": replace(config, log=Log(access=str(tmp_path / "no" / "access.log"))),
        "pid": replace(config, proxy=Process(workers=1, pid_file=Path("/proc/lbproxy.pid"))),
        "backend": replace(config, pools=(Pool("web", (Backend(Address("gone.invalid", 1)),)),)),
    }[fault]
    before = descriptors()
    with pytest.raises(StartError):
        prepare(faulty)
    assert descriptors() == before
    assert not (tmp_path / "pid").exists()


def test_too_many_workers_are_refused_with_the_number(tmp_path: Path) -> None:
    config = config_of(tmp_path)
    with pytest.raises(StartError, match=rf"^proxy\.toml: proxy\.workers: wanted at most {MOST_WORKERS}, came {RETIRED}$"):
        count_workers(replace(config, proxy=Process(workers=RETIRED)))
    assert 1 <= count_workers(replace(config, proxy=Process(workers=0))) <= MOST_WORKERS


def test_too_few_descriptors_are_a_warning(tmp_path: Path) -> None:
    config = replace(config_of(tmp_path), limits=Limits(connections_per_worker=2**40))
    estate, provision = prepare(config)
    provision.close()
    assert estate.pid_file is not None
    estate.pid_file.release()
    [(event, why)] = estate.warnings
    assert event == "limits.files"
    assert "open files" in why


def test_the_ledger_is_shared_with_a_fork_and_cannot_be_shrunk() -> None:
    """Shrinking a file that others have mapped kills them at their next look (SIGBUS)."""
    ledger, lock = shared_memory()
    child = os.fork()
    if child == 0:
        ledger.cells[cell_at(5, PerBackend.IN_FLIGHT, 7)] = 42
        lock.acquire(True)
        os._exit(0)
    os.waitpid(child, 0)
    assert ledger.cells[cell_at(5, PerBackend.IN_FLIGHT, 7)] == 42
    assert not lock.acquire(False)  # one lock for all
    lock.release()
    [fd] = [int(entry.split()[0]) for entry in descriptors() if LEDGER_NAME in entry and fits(int(entry.split()[0]), ledger)]
    with pytest.raises(PermissionError):
        os.ftruncate(fd, 0)


def fits(fd: int, ledger: object) -> bool:
    """Whether the descriptor is this ledger's (other tests' may be waiting for the collector)."""
    with mmap.mmap(fd, 0) as view:
        return int.from_bytes(view[cell_at(5, 0, 7) * 8 : cell_at(5, 0, 7) * 8 + 8], "little") == 42


def _newcomer(address: Address) -> int:
    """The state of a connection that was just begun: 1 is established, 2 waits for an answer, 7 was refused (tcp_states.h)."""
    with socket.socket() as sock:
        sock.setblocking(False)
        sock.connect_ex(tuple(address))
        return sock.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO)


def test_stop_listening(tmp_path: Path) -> None:
    """Nobody new gets into the queue of a socket that closes for good, though workers have it open yet; what is kept goes on."""
    config = config_of(tmp_path)
    estate, provision = prepare(config)
    metrics = config.metrics.address
    assert metrics is not None
    [listener] = provision.listeners
    with listener.socket.dup():  # a worker's
        estate.stop_listening(keep={metrics})
        assert set(estate.sockets) == {metrics}
        assert _newcomer(config.listen[0].address) == 2
        assert _newcomer(metrics) == 1
    provision.close()
    estate.close()


def test_a_lent_socket_outlives_us(tmp_path: Path) -> None:
    """The service manager's sockets get no filter: whoever connects while we stop waits for the next lbproxy."""
    config = config_of(tmp_path)
    address = config.listen[0].address
    with socket.create_server(tuple(address)) as managers:
        estate, provision = prepare(config, {address: managers.dup()})
        estate.stop_listening()
        assert _newcomer(address) == 1
        provision.close()
        estate.close()
