"""A worker's life in a process of its own: serving, draining, cutting, and obeying its master."""

from __future__ import annotations

import json
import mmap
import os
import select
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import psutil
import pytest

from lbproxy.balance.ledger import SIZE, HealthState, Ledger, PerSlot, Scalar, SlotState, state_at
from lbproxy.ipc.messages import Drain, Drained, Heartbeat, Message, Quit, Ready, ReopenLogs, Serve, SetLogLevel
from lbproxy.ipc.pipe import MasterPipe, socket_pair
from tests.support.certificates import Authority
from tests.support.process import ROOT
from tests.support.waiting import Lines, eventually
from tests.support.wire import Client

OK = b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok"


class Backend:
    """Answers heads with 200; a path under /hold waits until `release` is set, and /half stops in the middle."""

    def __init__(self) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listening.getsockname()[1]
        self.release = threading.Event()
        self.held = threading.Semaphore(0)
        self._open: list[socket.socket] = []
        self._threads = [threading.Thread(target=self._accept, daemon=True)]

    def __enter__(self) -> Self:
        self._threads[0].start()
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None) -> None:
        self.release.set()
        for sock in (self._listening, *self._open):
            try:
                sock.shutdown(socket.SHUT_RDWR)
            except OSError:
                pass  # over already
        for thread in self._threads:
            thread.join(60)
        for sock in (self._listening, *self._open):
            sock.close()

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listening.accept()
            except OSError:
                return
            self._open.append(sock)
            self._threads.append(threading.Thread(target=self._serve, args=(sock,), daemon=True))
            self._threads[-1].start()

    def _serve(self, sock: socket.socket) -> None:
        try:
            while head := sock.recv(65536):
                if b" /half" in head:
                    sock.sendall(OK[:-1])
                if b" /hold" in head or b" /half" in head:
                    self.held.release()
                    self.release.wait(30)
                sock.sendall(OK)
        except OSError:
            return


class Worker:
    """The process, the master's end of its pipe, and its ledger."""

    def __init__(
        self, directory: Path, certificate: dict[str, str], *backends: int, serve: bool = True, others: bool = False, **options: Any
    ) -> None:
        """`others`: somebody else has the listening sockets as well, in `others`."""
        self._sockets = [socket.create_server(("127.0.0.1", 0)) for _ in range(2)]
        self.tls_port, self.port = (int(sock.getsockname()[1]) for sock in self._sockets)
        memory = os.memfd_create("ledger")
        os.ftruncate(memory, SIZE)
        self.ledger = Ledger(mmap.mmap(memory, SIZE))
        self.ledger.open_row(0)
        for slot in range(len(backends)):
            self.ledger.cells[state_at(SlotState.HEALTH, slot)] = HealthState.UP
        ours, theirs = socket_pair()
        self.pipe = MasterPipe(ours)
        self.log = directory / "access.log"
        access = os.open(self.log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
        certificates: list[dict[str, str]] = [certificate, {"cert": "", "key": ""}]
        settings = {
            "listeners": [{"fd": sock.fileno(), **pair} for sock, pair in zip(self._sockets, certificates, strict=True)],
            "ledger": memory,
            "pipe": theirs.fileno(),
            "access": access,
            "backends": backends,
            **options,
        }
        inherited = [memory, theirs.fileno(), access, *(sock.fileno() for sock in self._sockets)]
        self.process = subprocess.Popen(
            [sys.executable, "-m", "tests.unit.worker.process", json.dumps(settings)],
            pass_fds=inherited,
            cwd=ROOT,
            stderr=subprocess.PIPE,
        )
        self.others = [sock.dup() for sock in self._sockets] if others else []
        for sock in (*self._sockets, theirs):
            sock.close()
        os.close(memory)
        os.close(access)
        assert self.process.stderr is not None
        self.said = Lines(self.process.stderr)
        self.heard: list[Message] = []
        self.hear(Ready)
        if serve:
            self.serve()

    def serve(self) -> None:
        """Tell it to, and wait until it does."""
        self.pipe.send(Serve())
        eventually(self.accepts, "it accepts")

    def accepts(self) -> bool:
        return self.ledger.total(Scalar.ACCEPTING) == 1

    def close(self) -> None:
        self.process.kill()
        self.process.wait()
        self.pipe.close()
        for sock in self.others:
            sock.close()
        assert "Traceback" not in "\n".join(self.said.finish()), self.said.all()

    def hear(self, kind: type[Message]) -> Message:
        """The first message of that kind."""
        deadline = time.monotonic() + 60
        while not (found := [message for message in self.heard if isinstance(message, kind)]):
            assert time.monotonic() < deadline, f"heard only {self.heard}; {self.said.all()}"
            select.select([self.pipe], [], [], 1.0)
            messages = self.pipe.receive()
            assert messages is not None, f"the worker is gone; heard {self.heard}; {self.said.all()}"
            self.heard += messages
        return found[0]

    def beat_that(self, tells: Callable[[Heartbeat], bool]) -> Heartbeat:
        """The first that does: older ones may lie in the pipe."""
        deadline = time.monotonic() + 60
        while True:
            beat = self.hear(Heartbeat)
            assert isinstance(beat, Heartbeat)
            if tells(beat):
                return beat
            assert time.monotonic() < deadline, f"told only {beat}"
            self.heard.remove(beat)

    def exit_code(self) -> int:
        return self.process.wait(60)

    def lines(self, path: Path | None = None) -> list[dict[str, Any]]:
        return [json.loads(line) for line in (path or self.log).read_text().splitlines()]

    def rests(self) -> bool:
        """Whether it uses next to no CPU with things as they are."""
        process = psutil.Process(self.process.pid)
        before = process.cpu_times()
        time.sleep(0.5)  # what is measured is that nothing happens
        after = process.cpu_times()
        return after.user + after.system - before.user - before.system < 0.15


class Office:
    """Starts workers and clients, and sees them off."""

    def __init__(self, directory: Path, authority: Authority, backend: Backend) -> None:
        self.directory, self._authority, self.backend = directory, authority, backend
        self._workers: list[Worker] = []
        self._clients: list[Client] = []

    def worker(self, *backends: int, **options: Any) -> Worker:
        certificate = self._authority.issue("localhost")
        self._workers.append(Worker(self.directory, certificate, *(backends or (self.backend.port,)), **options))
        return self._workers[-1]

    def client(self, worker: Worker, *, tls: bool = False) -> Client:
        ca = self._authority.file if tls else None
        self._clients.append(Client(worker.tls_port if tls else worker.port, ca=ca))
        return self._clients[-1]

    def close(self) -> None:
        for client in self._clients:
            client.close()
        for worker in self._workers:
            worker.close()


@pytest.fixture
def office(tmp_path: Path, authority: Authority) -> Iterator[Office]:
    with Backend() as backend:
        made = Office(tmp_path, authority, backend)
        yield made
        made.close()


def test_it_accepts_when_it_is_told_to_serve_and_not_before(office: Office) -> None:
    """Of a reload that fails no client has met a worker: who comes meanwhile is left to the older generation, or waits."""
    worker = office.worker(serve=False)
    early = office.client(worker)
    early.send_head("GET", "/")
    worker.hear(Heartbeat)  # it lives
    assert not worker.accepts()
    assert worker.ledger.total(Scalar.CONNECTIONS) == 0
    worker.serve()
    assert early.response().status == 200


def test_who_is_told_to_drain_before_it_served_never_accepts(office: Office) -> None:
    worker = office.worker(serve=False, others=True)
    waiting = office.client(worker)
    worker.pipe.send(Drain(20_000))
    worker.pipe.send(Serve())
    assert worker.hear(Drained) == Drained(0)
    assert worker.exit_code() == 0
    assert worker.ledger.total(Scalar.CONNECTIONS) == 0
    plain = worker.others[1]
    plain.settimeout(60)
    plain.accept()[0].close()  # it was left in the queue for others
    waiting.close()


def test_it_serves_counts_logs_and_goes(office: Office) -> None:
    """Over TLS and plain; beats; writes what it did; moves to a new log; ends when told to."""
    worker = office.worker()
    plain, tls = office.client(worker), office.client(worker, tls=True)
    for client in (plain, tls, plain):
        assert client.request().body == b"ok"
    eventually(lambda: worker.ledger.total(Scalar.REQUESTS) == 3, "the counters are published")
    beat = worker.beat_that(lambda beat: (beat.requests, beat.connections, beat.live_requests) == (3, 2, 0))
    assert beat.rss_kib > 1000
    assert worker.ledger.slot_total(PerSlot.REQUESTS, 0) == 3
    assert worker.ledger.slot_total(PerSlot.CONNECTS, 0) == 1
    assert worker.ledger.total(Scalar.HANDSHAKES) == 1
    assert worker.ledger.total(Scalar.CONNECTIONS) == 2
    eventually(lambda: len(worker.lines()) == 3, "the log is written")
    rotated = office.directory / "rotated.log"
    descriptor = os.open(rotated, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    worker.pipe.send_fd(ReopenLogs(), descriptor)
    os.close(descriptor)
    eventually(lambda: plain.request().status == 200 and rotated.read_bytes(), "lines go to the new file")
    worker.pipe.send(Quit())
    assert worker.exit_code() == 0
    assert worker.ledger.verify() == []
    assert len(worker.lines()) + len(worker.lines(rotated)) == worker.ledger.total(Scalar.REQUESTS)


def test_its_log_gets_as_wordy_as_an_operator_wants(office: Office) -> None:
    worker = office.worker()
    worker.pipe.send(SetLogLevel("error"))
    worker.pipe.close()  # which is a warning
    assert worker.exit_code() == 0
    assert worker.said.finish() == []


# ---------------------------------------------------------------- draining


@pytest.mark.parametrize("closing", ["", "0,1"], ids=["others listen on", "nobody listens on"])
def test_a_drain_loses_nothing(office: Office, closing: str) -> None:
    """What runs is finished, what is on the wire is served, and both are told to go elsewhere."""
    worker = office.worker()
    running, parked, silent = office.client(worker), office.client(worker, tls=True), office.client(worker)
    assert parked.request().status == 200
    assert silent.request().status == 200
    running.send_head("GET", "/hold")
    assert office.backend.held.acquire(timeout=60)
    worker.pipe.send(Drain(120_000, 60_000, closing=closing))  # the idle have time for all that follows, busy as the machine may be
    eventually(lambda: not worker.accepts(), "it drains")
    eventually(lambda: refused(worker), "nobody listens any more")
    late = parked.request()
    assert (late.status, late.get("connection")) == (200, "close")
    office.backend.release.set()
    last = running.response()
    assert (last.status, last.get("connection")) == (200, "close")
    worker.pipe.send(Drain(120_000, closing=closing))
    assert silent.ended(), "idle connections end after their grace"
    for client in (running, parked, silent):
        client.close()
    assert worker.hear(Drained) == Drained(0)
    assert worker.exit_code() == 0
    assert worker.ledger.total(Scalar.CONNECTIONS) == 0
    assert worker.ledger.verify() == []


def refused(worker: Worker) -> bool:
    """A connect, given up after a moment: for some time newcomers get no answer at all."""
    try:
        socket.create_connection(("127.0.0.1", worker.port), 0.2).close()
    except ConnectionRefusedError:
        return True
    except (TimeoutError, ConnectionResetError):  # reset: it lay in the queue of a listener that is closed now
        return False
    return False


def test_in_a_reload_idle_connections_stay_as_long_as_the_drain(office: Office) -> None:
    """And the one request that each may still send is served; a second Drain, of a stop, ends their patience."""
    worker = office.worker(others=True, idle_grace=0.1)
    early, late = office.client(worker), office.client(worker, tls=True)
    for client in (early, late):
        assert client.request().status == 200
    worker.pipe.send(Drain(60_000, 60_000, 60_000))
    eventually(lambda: not worker.accepts(), "it drains")
    worker.hear(Heartbeat)
    time.sleep(0.5)  # longer than the grace: what is measured is that nothing happens
    assert worker.ledger.total(Scalar.CONNECTIONS) == 2
    response = early.request()
    assert (response.status, response.get("connection")) == (200, "close")
    worker.pipe.send(Drain(60_000, 0, 60_000))
    assert late.ended()
    for client in (early, late):
        client.close()
    assert worker.hear(Drained) == Drained(0)
    assert worker.exit_code() == 0


def test_a_drain_has_a_limit(office: Office) -> None:
    """Whoever has no response gets 503, whoever has half of one sees it break off; each is logged, no lease stays."""
    worker = office.worker()
    waiting, half = office.client(worker), office.client(worker)
    waiting.send_head("GET", "/hold")
    half.send_head("GET", "/half")
    for _ in range(2):
        assert office.backend.held.acquire(timeout=60)
    assert half.head().status == 200
    worker.pipe.send(Drain(300))
    assert worker.hear(Drained) == Drained(2)
    assert waiting.response().status == 503
    with pytest.raises(ConnectionResetError):
        half.rest()
    assert worker.exit_code() == 0
    assert sorted((line["status"], line["reason"]) for line in worker.lines()) == [(200, "drain_timeout"), (503, "drain_timeout")]
    assert worker.ledger.total(Scalar.LIVE_REQUESTS) == 0
    assert worker.ledger.verify() == []


def test_without_a_master_it_drains_and_frees_the_port_at_once(office: Office) -> None:
    """Who waits in the queue is served: nobody else will."""
    worker = office.worker(drain_timeout=20.0)
    client = office.client(worker)
    client.send_head("GET", "/hold")
    assert office.backend.held.acquire(timeout=60)
    worker.pipe.close()
    eventually(lambda: not worker.accepts(), "it drains")
    eventually(lambda: refused(worker), "the port is free")
    office.backend.release.set()
    assert client.response().status == 200
    client.close()
    assert worker.exit_code() == 0


# ---------------------------------------------------------------- trouble


def test_a_pipe_that_speaks_nonsense_ends_it(office: Office) -> None:
    worker = office.worker()
    os.write(worker.pipe.fileno(), b"\0\0\0\2{]")
    assert worker.exit_code() == 1


def test_nothing_that_clients_leave_behind_keeps_it_busy(office: Office) -> None:
    """Idle, half-closed, half a head, half a handshake, pipelining into a held request: the loop sleeps."""
    worker = office.worker()
    crowd = [office.client(worker, tls=number % 2 == 0) for number in range(20)]
    for client in crowd[:10]:
        assert client.request().status == 200
    crowd[1].send(b"GET / HTTP/1.1\r\nHo")
    crowd[2].send(b"GET / HTTP/1.1\r\nHo")
    held = office.client(worker)
    held.send_head("GET", "/hold")
    assert office.backend.held.acquire(timeout=60)
    for _ in range(60):
        held.send(b"GET /next HTTP/1.1\r\nHost: localhost\r\nX: " + b"x" * 1000 + b"\r\n\r\n")
    stranger = socket.create_connection(("127.0.0.1", worker.tls_port))
    stranger.sendall(b"\x16\x03\x01\x02\x00\x01")
    assert worker.rests()
    stranger.close()
    held.close()
    eventually(lambda: worker.ledger.total(Scalar.HANDSHAKE_FAILURES) == 1, "the stranger is gone")
    office.backend.release.set()


def test_descriptors_do_not_pile_up(office: Office) -> None:
    """However clients go away."""
    worker = office.worker()
    process = psutil.Process(worker.process.pid)
    office.client(worker).request()
    before = process.num_fds()
    for number in range(40):
        client = office.client(worker, tls=number % 2 == 0)
        if number % 4 < 2:
            client.request()
        else:
            client.send(b"GET /")
        client.close() if number % 3 else client.reset()
    eventually(lambda: worker.ledger.total(Scalar.CONNECTIONS) == 1, "all are gone")
    eventually(lambda: process.num_fds() <= before, "every descriptor is given back")
