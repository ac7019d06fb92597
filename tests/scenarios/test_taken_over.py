"""One worker was taken over: what it writes into the memory that all share stops nobody else."""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import random
import signal
import socket
import stat
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Event, Thread

import pytest

from lbproxy.balance.ledger import WHOLE_SIZE, Header, Ledger, SlotState, state_at, writable
from tests.conftest import Stage
from tests.support.process import LbProxy
from tests.support.waiting import PATIENCE, eventually

pytestmark = pytest.mark.skipif(os.getuid() != 0, reason="writing into other processes' memory needs root")

LIBC = ctypes.CDLL(None)
PIDFD_GETFD = 438
ROW = 5
"""Of the worker that was taken over: no process of lbproxy's counts there."""
ODD = [-(2**63), -1, 0, 1, 2, 2**24 - 1, 2**32, 2**62, 2**63 - 1]


def ledger_of(proxy: LbProxy) -> memoryview[int]:
    """All of it, writable: as root has it."""
    for path in Path(f"/proc/{proxy.pid}/fd").iterdir():
        if "lbproxy-ledger" in os.readlink(path):
            with path.open("r+b") as file:
                return memoryview(mmap.mmap(file.fileno(), WHOLE_SIZE)).cast("q")
    raise AssertionError("no ledger")


@contextmanager
def storm(cells: memoryview[int], places: list[range]) -> Iterator[None]:
    """Nonsense all over, thousands of times a second."""
    over = Event()

    def write() -> None:
        chance = random.Random(7)
        while not over.is_set():
            for _ in range(200):
                for part in places:
                    at = chance.randrange(min(len(part), 4096)) if chance.random() < 0.9 else chance.randrange(len(part))
                    cells[part[at]] = chance.choice(ODD) if chance.random() < 0.7 else chance.getrandbits(63)
            time.sleep(0.001)

    thread = Thread(target=write)
    thread.start()
    try:
        yield
    finally:
        over.set()
        thread.join()


def test_nonsense_in_the_ledger_stops_nobody(stage: Stage) -> None:
    """In its row, in what all workers share, and in what only the master and control may write (how many rows, health): requests
    are answered in time, by a backend of their own pool or by 503, and every process lives; soon after all is well."""
    one, other = stage.app("one"), stage.app("other")
    config = stage.config(one.address, workers=2)
    config["pool"]["other"] = {"backends": [other.address], "queue": 5}
    config["pool"]["app"]["health"] = {"interval": "500ms"}
    config["pool"]["other"]["health"] = {"interval": "500ms"}
    config["route"] = [{"path": "/other", "pool": "other"}, {"pool": "app"}]
    config["listen"][0]["connection_rate"] = "100000/s"
    proxy = stage.run(config)
    proxy.wait_up(one.address, other.address)
    proxy.wait_event("control.ready")
    before = proxy.settled()
    cells = ledger_of(proxy)
    places = [*writable(ROW, worker=True), *[range(state_at(SlotState.HEALTH, 0), state_at(SlotState.HEALTH, 4))]]
    places += [range(Header.CHILDREN_HIGH, Header.CHILDREN_HIGH + 1)]
    answers: dict[int, int] = {}
    refused = 0
    with storm(cells, places):
        until = time.monotonic() + 3
        while time.monotonic() < until:
            for path, app in (("/echo", "one"), ("/other/echo", "other")):
                began = time.monotonic()
                try:
                    client = stage.client(proxy)
                except OSError:  # what it can do: claim that a client is over his rate, who is then closed at once
                    assert time.monotonic() - began < PATIENCE
                    refused += 1
                    continue
                answer = client.request("GET", path)
                assert time.monotonic() - began < PATIENCE
                answers[answer.status] = answers.get(answer.status, 0) + 1
                assert answer.status in (200, 503), answer
                if answer.status == 200:
                    assert json.loads(answer.body)["name"] == app
    assert sorted(member.pid for member in proxy.members()) == before
    cells[Header.CHILDREN_HIGH] = 2  # the master's, which no worker can write
    for path in ("/echo", "/other/echo"):
        eventually(lambda path=path: stage.client(proxy).request("GET", path).status == 200, "well again")  # type: ignore[misc]
    assert answers.get(200, 0) > 0, answers
    assert not refused or proxy.wait_event("connection.refused", reason="connection_rate")


def test_an_absurd_number_of_rows_stops_nobody(stage: Stage) -> None:
    """Eight bytes, once."""
    app = stage.app()
    proxy = stage.proxy(app.address, workers=2)
    proxy.wait_up(app.address)
    cells = ledger_of(proxy)
    for absurd in (2**62, -1, 0):
        cells[Header.CHILDREN_HIGH] = absurd
        began = time.monotonic()
        for _ in range(20):
            assert stage.client(proxy).request("GET", "/echo").status == 200
        assert time.monotonic() - began < PATIENCE
    assert Ledger(cells).children == 0


def test_a_listener_that_a_worker_ended_listens_again(stage: Stage) -> None:
    """The socket is one for all: whoever has it can end it for the others and for every successor."""
    proxy = stage.proxy(stage.app().address, workers=2)
    worker = os.pidfd_open(proxy.workers()[0])
    copies = [copied(worker, int(path.name)) for path in Path(f"/proc/{proxy.workers()[0]}/fd").iterdir()]
    os.close(worker)
    listeners = [sock for sock in copies if sock is not None and sock.getsockopt(socket.SOL_SOCKET, socket.SO_ACCEPTCONN)]
    assert len(listeners) == 1
    os.set_blocking(listeners[0].fileno(), True)
    assert LIBC.connect(listeners[0].fileno(), bytes(16), 16) == 0
    for sock in filter(None, copies):
        sock.close()
    proxy.wait_event("listener.restored")
    for _ in range(8):
        assert stage.client(proxy).request("GET", "/echo").status == 200


def flags(process: int) -> dict[int, bool]:
    """Descriptors of a process on our two pipes, and whether each makes nobody wait."""
    found = {}
    for path in Path(f"/proc/{process}/fd").iterdir():
        if os.readlink(path).startswith("pipe:"):
            told = Path(f"/proc/{process}/fdinfo/{path.name}").read_text()
            found[int(path.name)] = bool(int(told.split("flags:")[1].split()[0], 8) & os.O_NONBLOCK)
    return found


def turn_over(process: int) -> None:
    """Have each of its pipes block that did not, and the other way round: what is changed is what is behind its descriptors."""
    hold = os.pidfd_open(process)
    for descriptor in flags(process):
        ours = LIBC.syscall(PIDFD_GETFD, hold, descriptor, 0)
        os.set_blocking(ours, not os.get_blocking(ours))
        os.close(ours)
    os.close(hold)


def test_a_pipe_that_one_made_to_block_blocks_nobody_else(stage: Stage) -> None:
    """Events and access lines of all go into two pipes. Whoever takes O_NONBLOCK away from what it has there takes it away from
    itself, also when logs were reopened: master, control and the other workers write as before, though nobody reads."""
    app = stage.app()
    proxy = stage.proxy(app.address, workers=2)
    proxy.wait_up(app.address)
    control = int(proxy.wait_event("control.ready")["pid"])
    proxy.settled()
    taken, other = proxy.workers()
    for reopened in (False, True):
        if reopened:
            proxy.signal(signal.SIGUSR1)
            proxy.wait_event("logs.reopened")
            assert stage.client(proxy).request("GET", "/echo").status == 200
        before = {pid: flags(pid) for pid in (proxy.pid, control, other)}
        assert any(before[other].values())
        turn_over(taken)
        assert {pid: flags(pid) for pid in before} == before
        turn_over(taken)
    assert stage.client(proxy).request("GET", "/echo").status == 200


def copied(process: int, descriptor: int) -> socket.socket | None:
    """A process's socket, as one of ours; None for what is no socket."""
    ours = LIBC.syscall(PIDFD_GETFD, process, descriptor, 0)
    if ours < 0:
        return None
    if not stat.S_ISSOCK(os.fstat(ours).st_mode):
        os.close(ours)
        return None
    return socket.socket(fileno=ours)
