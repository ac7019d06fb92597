from __future__ import annotations

import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager

import gevent
import gevent.socket
import pytest

from lbproxy.balance.ledger import HealthState, SlotState, state_at
from lbproxy.config import model
from lbproxy.control.main import run
from lbproxy.ipc.handover import Handover
from lbproxy.ipc.messages import Drain, HealthChanged, Heartbeat, Message, Quit, Ready
from lbproxy.ipc.pipe import MasterPipe, socket_pair
from tests.support.process import ROOT
from tests.support.waiting import FOREVER, PATIENCE
from tests.unit.control.backends import OK, answering, closed_port, handover, new_ledger, pool_of

TCP = model.HealthConfig(type="tcp", interval=0.05, fast_interval=0.05, down_interval=0.05, timeout=1.0)
OFF = model.HealthConfig(type="off")


class Session:
    """A control process run in a greenlet, and the master's end of its pipe."""

    def __init__(self, *pools: model.PoolConfig, metrics: socket.socket | None = None) -> None:
        mine, theirs = socket_pair()
        self.pipe = MasterPipe(mine)
        self.ledger = new_ledger()
        self.heard: list[Message] = []
        self.inheritance: Handover = handover(*pools, ledger=self.ledger, pipe=theirs, metrics=metrics)
        self.greenlet: gevent.Greenlet[[Handover], int] = gevent.spawn(run, self.inheritance)

    def hear(self, kind: type[Message], count: int = 1) -> list[Message]:
        """Wait for so many messages of a kind; all of that kind."""
        deadline = time.monotonic() + PATIENCE
        while len(found := [message for message in self.heard if isinstance(message, kind)]) < count:
            assert time.monotonic() < deadline, f"heard only {self.heard}"
            assert not self.greenlet.dead, self.greenlet.exception
            gevent.sleep(0.005)
            self.heard += self.pipe.receive() or []
        return found

    def beat(self, number: int) -> Heartbeat:
        """The heartbeat of that number, from 1 on; waits for it."""
        found = self.hear(Heartbeat, number)[number - 1]
        assert isinstance(found, Heartbeat)
        return found

    def exit_code(self) -> int | None:
        self.greenlet.join(PATIENCE)
        assert self.greenlet.dead
        return self.greenlet.value


@contextmanager
def session(*pools: model.PoolConfig, metrics: socket.socket | None = None) -> Iterator[Session]:
    running = Session(*pools, metrics=metrics)
    try:
        yield running
    finally:
        running.greenlet.kill()
        running.pipe.close()


def test_ready_comes_before_the_first_probe_is_answered() -> None:
    """A pool whose backends hang does not delay the start."""
    with socket.create_server(("127.0.0.1", 0)) as hanging:
        slow = pool_of("slow", hanging.getsockname()[1], health=model.HealthConfig(type="http", timeout=FOREVER))
        with session(slow) as control:
            started = time.monotonic()
            assert control.hear(Ready) == [Ready(os.getpid())]
            assert time.monotonic() - started < PATIENCE
            assert control.ledger.health(0) is HealthState.UNKNOWN


def test_every_backend_is_judged_and_told() -> None:
    """Up, down, and up without checks, over two pools."""
    with answering(OK) as backend:
        dead = closed_port()
        with session(pool_of("a", backend.port, dead, health=TCP), pool_of("b", dead, health=OFF)) as control:
            told = control.hear(HealthChanged, 3)
            assert sorted(told) == sorted(
                [
                    HealthChanged("a", f"127.0.0.1:{backend.port}", "up", "the check passed"),
                    HealthChanged("a", f"127.0.0.1:{dead}", "down", "connection refused"),
                    HealthChanged("b", f"127.0.0.1:{dead}", "up", "health checks are off"),
                ]
            )
            assert [control.ledger.health(slot) for slot in range(3)] == [HealthState.UP, HealthState.DOWN, HealthState.UP]


def test_known_health_survives_a_new_control_process() -> None:
    """Nothing becomes unknown, nothing is told twice."""
    with answering(OK) as backend, session(pool_of("a", backend.port, health=TCP)) as control:
        control.ledger.cells[state_at(SlotState.HEALTH, 0)] = HealthState.UP
        control.hear(Heartbeat)
        assert control.ledger.cells[state_at(SlotState.CHECKS, 0)] > 1
        assert [message for message in control.heard if isinstance(message, HealthChanged)] == []
        control.pipe.send(Quit())
        assert control.exit_code() == 0


def test_heartbeats_carry_lag_and_memory() -> None:
    """A loop that was held up says by how much."""
    with session() as control:
        beats = 1
        while (first := control.beat(beats)).lag_ms >= 300:  # a busy machine may hold it up now and then
            beats += 1
        assert 5_000 < first.rss_kib < 5_000_000
        time.sleep(1.0)  # not gevent's: holds up the whole loop, on purpose
        assert control.beat(beats + 1).lag_ms >= 300


def test_quit_ends_it_with_0() -> None:
    """At once, and its end of the pipe is closed."""
    with session(pool_of("a", closed_port(), health=TCP)) as control:
        control.hear(Ready)
        control.pipe.send(Quit())
        assert control.exit_code() == 0
        while (left := control.pipe.receive()) is not None:
            assert all(isinstance(message, HealthChanged | Heartbeat) for message in left)


def test_a_master_that_is_gone_ends_it_with_0() -> None:
    """End-of-file."""
    with session(pool_of("a", closed_port(), health=TCP)) as control:
        control.hear(Ready)
        control.pipe.close()
        assert control.exit_code() == 0


def test_rubbish_on_the_pipe_ends_it_with_1() -> None:
    """A frame that is none: what comes next cannot be trusted."""
    mine, theirs = socket_pair()
    with mine:
        greenlet = gevent.spawn(run, handover(ledger=new_ledger(), pipe=theirs))
        mine.sendall(b"\x00\x00\x00\x05hello")
        greenlet.join(60)
        assert greenlet.value == 1


def test_probing_goes_on_while_draining() -> None:
    """Until the drain's time is up; then it leaves."""
    with answering(OK) as backend, session(pool_of("a", backend.port, health=TCP)) as control:
        control.hear(HealthChanged)
        control.pipe.send(Drain(600))
        drained = time.monotonic()
        before = control.ledger.cells[state_at(SlotState.CHECKS, 0)]
        assert control.exit_code() == 0
        assert time.monotonic() - drained > 0.5
        assert control.ledger.cells[state_at(SlotState.CHECKS, 0)] > before + 3


def test_a_master_that_does_not_read_does_not_stop_it() -> None:
    """Heartbeats and changes are dropped in the end; probing goes on, and Quit is still heard."""
    with session(pool_of("a", closed_port(), health=TCP)) as control:
        control.hear(Ready)
        control.inheritance.pipe.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
        before = control.ledger.cells[state_at(SlotState.CHECKS, 0)]
        gevent.sleep(1.2)  # two heartbeats into a small buffer
        assert control.ledger.cells[state_at(SlotState.CHECKS, 0)] > before + 5
        control.pipe.send(Quit())
        assert control.exit_code() == 0


def test_metrics_are_served_from_the_inherited_socket() -> None:
    """And no longer once it is gone."""
    listening = socket.create_server(("127.0.0.1", 0))
    address = listening.getsockname()
    with session(metrics=listening) as control:
        control.hear(Ready)
        with gevent.socket.create_connection(address) as sock:
            sock.sendall(b"GET /livez HTTP/1.0\r\n\r\n")
            assert sock.recv(4096).startswith(b"HTTP/1.1 200 OK\r\n")
        control.pipe.send(Quit())
        assert control.exit_code() == 0
    with pytest.raises(ConnectionRefusedError):
        socket.create_connection(address)


FORKED = """
import os, sys, time
from lbproxy.config import model
from lbproxy.balance.ledger import HealthState
from lbproxy.ipc.pipe import MasterPipe, socket_pair
from tests.unit.control.backends import closed_port, handover, new_ledger, pool_of

mine, theirs = socket_pair()
ledger = new_ledger()
quick = model.HealthConfig(interval=0.05, fast_interval=0.05, down_interval=0.05)
inheritance = handover(pool_of("a", closed_port(), health=quick), ledger=ledger, pipe=theirs)
assert "gevent" not in sys.modules
pid = os.fork()
if pid == 0:
    mine.close()
    from lbproxy.control.main import run

    os._exit(run(inheritance))
theirs.close()
pipe = MasterPipe(mine)
deadline = time.monotonic() + 60
kinds = []
while ledger.health(0) is not HealthState.DOWN or "Heartbeat" not in kinds:
    assert time.monotonic() < deadline, kinds
    kinds += [type(message).__name__ for message in pipe.receive() or []]
    time.sleep(0.01)
pipe.close()
code = os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])
print(code, kinds[0], "gevent" in sys.modules)
"""


def test_in_a_forked_process() -> None:
    """The real thing: the parent has no gevent and sees the health in shared memory; its end of the pipe closed, the child goes."""
    done = subprocess.run([sys.executable, "-c", FORKED], cwd=ROOT, capture_output=True, text=True, timeout=120)
    assert (done.stdout, done.stderr) == ("0 Ready False\n", "")
