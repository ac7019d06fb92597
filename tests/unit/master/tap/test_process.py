"""The loop of the process that sends conversations on: what comes from workers goes to whoever reads, and nobody holds it up."""

from __future__ import annotations

import json
import os
import socket
import struct
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lbproxy.master.system.tap_openings import fifo
from lbproxy.master.tap import process as module
from lbproxy.master.tap.process import TapProcess, stand_back
from lbproxy.observe.tapped import Tapped, messages
from tests.unit.net.test_tap_outputs import packets

ONE = Tapped("192.0.2.1", "192.0.2.2", 443, b"GET / HTTP/1.1\r\n\r\n", b"HTTP/1.1 200 OK\r\n\r\n", 5.0)
PACKETS = 10


class Scene:
    """The process in this one, a turn at a time; its master and its workers."""

    def __init__(self) -> None:
        self.master, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        self.process = TapProcess(theirs)

    def order(self, descriptor: int = -1, **order: Any) -> None:
        socket.send_fds(self.master, [json.dumps(order).encode()], [] if descriptor < 0 else [descriptor])
        self.turn()

    def worker(self) -> socket.socket:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        theirs.setblocking(False)
        with theirs:
            self.order(theirs.fileno(), what="serve")
        return ours

    def tap(self, *sinks: str, readers: int = 8, room: int = 10**6, listener: socket.socket | None = None, anew: Any = ()) -> None:
        terms = [sinks, readers, room, ["127.0.0.0/8"]]
        self.order(-1 if listener is None else listener.fileno(), what="settle", tap="ids", terms=terms, anew=list(anew))

    def turn(self, times: int = 3) -> None:
        for _ in range(times):
            self.process._say_at = 0.0
            self.process._turn()

    def work(self) -> dict[str, list[int]]:
        """What the master was told last."""
        said: dict[str, Any] = {}
        while True:
            try:
                said = json.loads(self.master.recv(65536, socket.MSG_DONTWAIT))
            except BlockingIOError:
                return dict(said["work"]["ids"])


@pytest.fixture
def scene(monkeypatch: pytest.MonkeyPatch) -> Iterator[Scene]:
    monkeypatch.setattr(module, "TELL_EVERY", 0.0)  # nothing is waited for in a turn
    scene = Scene()
    yield scene
    scene.master.close()
    scene.turn()
    for tap in scene.process._taps.values():
        tap.close()


def listening() -> socket.socket:
    sock = socket.create_server(("127.0.0.1", 0))
    sock.setblocking(False)
    return sock


def read(sock: socket.socket, scene: Scene, wanted: int) -> int:
    """Packets of a reader, once they are so many."""
    sock.settimeout(0.01)
    data = b""
    for _ in range(3000):
        scene.turn()
        try:
            data += sock.recv(10**6)
        except TimeoutError:
            continue
        try:
            found = packets(data)
        except (AssertionError, struct.error):  # not whole yet
            continue
        if len(found) >= wanted:
            return len(found)
    raise AssertionError(f"{len(data)} bytes came")


def test_all_workers_to_all_readers(scene: Scene) -> None:
    """One that closed the half that nobody reads stays, one that comes later gets a head first, one that goes is forgotten."""
    with listening() as sock, scene.worker() as first, scene.worker() as second:
        scene.tap("listen", listener=sock)
        early, half = (socket.create_connection(sock.getsockname(), timeout=60) for _ in range(2))
        half.shutdown(socket.SHUT_WR)
        scene.turn()
        for worker in (first, second):
            worker.send(next(messages("ids", ONE)))
        assert [read(reader, scene, 2 * PACKETS) for reader in (early, half)] == [2 * PACKETS] * 2
        early.close()
        with socket.create_connection(sock.getsockname(), timeout=60) as late, half:
            scene.turn()
            first.send(next(messages("ids", ONE)))
            assert read(late, scene, PACKETS) == PACKETS
            for _ in range(3):
                first.send(next(messages("ids", ONE)))
                scene.turn()
            assert scene.work()["listen"][4] == 2


def test_a_reader_that_sleeps(scene: Scene) -> None:
    """It has its room, and nothing more; nobody else hears of it, and the loop does not turn for it in vain."""
    with listening() as sock, scene.worker() as worker:
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        scene.tap("listen", room=200_000, listener=sock)
        with socket.create_connection(sock.getsockname()) as asleep:
            scene.turn()
            large = ONE._replace(answer=b"a" * 50_000)
            for _ in range(200):
                worker.send(next(messages("ids", large)))
                scene.turn(1)
            passed, dropped, *_ = scene.work()["listen"]
            assert passed + dropped == 200
            assert dropped > 0
            [stream] = scene.process._taps["ids"].streams()
            assert stream._held <= 200_000
            assert stream.fd in scene.process._blocked
            assert asleep.recv(4) == b"\xd4\xc3\xb2\xa1"


def test_a_pipe(scene: Scene, tmp_path: Path) -> None:
    """A reader that comes late gets a head first; when it goes, the pipe is closed at once, and the next one gets a head again."""
    path = tmp_path / "pipe"
    os.mkfifo(path)
    scene.tap("fifo")
    assert fifo(path) == -1, "nobody reads"
    with scene.worker() as worker:
        for _ in range(2):
            reading = os.open(path, os.O_RDONLY | os.O_NONBLOCK)
            writing = fifo(path)
            scene.order(writing, what="open", tap="ids", sink="fifo")
            os.close(writing)
            assert fifo(path) == -1, "there is one already"
            worker.send(next(messages("ids", ONE)))
            scene.turn()
            assert len(packets(os.read(reading, 10**6))) == PACKETS
            os.close(reading)
            scene.turn()
            assert scene.process._taps["ids"].fifo is None
        worker.send(next(messages("ids", ONE)))
        scene.turn()
        assert scene.work()["fifo"][:4] == [2, 0, 0, 1]


def test_workers_that_end_and_that_lie(scene: Scene) -> None:
    """One is forgotten, the other cut off; a tap that nobody knows is nobody's."""
    scene.tap("fifo")
    with scene.worker() as good, scene.worker() as bad:
        bad.send(b"\3nonsense")
        good.send(next(messages("other", ONE)))
        good.send(next(messages("ids", ONE)))
        scene.turn()
        assert len(scene.process._workers) == 1
        assert scene.work()["fifo"][3] == 1
    scene.turn()
    assert scene.process._workers == {}


def test_what_changes(scene: Scene) -> None:
    """Readers stay over a change that is not theirs; a new address loses those of the old, and so does a tap that is removed."""
    with listening() as sock, listening() as other:
        scene.tap("listen", listener=sock)
        reader = socket.create_connection(sock.getsockname(), timeout=60)
        scene.turn()
        scene.tap("listen", "fifo", readers=1, listener=sock)
        scene.turn()
        assert scene.work()["listen"][4] == 1
        scene.tap("listen", listener=other, anew=["listen"])
        assert reader.recv(100)
        assert reader.recv(100) == b"", "it has ended"
        with socket.create_connection(other.getsockname(), timeout=60) as again:
            scene.turn()
            scene.order(what="forget", tap="ids")
            assert again.recv(100)
            assert again.recv(100) == b""
        assert scene.process._taps == {}
        reader.close()


def test_the_master_goes(scene: Scene) -> None:
    """Nobody connects any more; whoever reads gets what workers have yet to say, and with the last worker it ends."""
    with listening() as sock:
        scene.tap("listen", listener=sock)
        reader, worker = socket.create_connection(sock.getsockname(), timeout=60), scene.worker()
        scene.turn()
        scene.master.close()
        scene.turn()
        assert scene.process._taps["ids"].listener is None
        worker.send(next(messages("ids", ONE)))
        worker.close()
    scene.process.serve()
    reader.settimeout(60)
    with reader:
        assert len(packets(reader.recv(10**6))) == PACKETS


def test_who_may_not_stand_back_stands_where_he_is(monkeypatch: pytest.MonkeyPatch) -> None:
    """In a container that refuses such calls conversations are sent on all the same."""
    asked: list[object] = []

    def refused(*what: object) -> None:
        asked.append(what)
        raise PermissionError

    monkeypatch.setattr(os, "nice", refused)
    monkeypatch.setattr(os, "sched_setscheduler", refused)
    stand_back()
    assert len(asked) == 2
