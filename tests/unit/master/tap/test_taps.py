"""The master's end of the process that sends conversations on: what it is told, what is opened for it, and what follows it."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lbproxy.config import model
from lbproxy.config.model import Address, Config, TapConfig
from lbproxy.ipc.messages import TapWork
from lbproxy.master.tap import taps as module
from lbproxy.master.tap.taps import Taps

AT = Address("127.0.0.1", 57012)


class Process:
    """In the place of the one that is started: what it was told."""

    all: list[Process]

    def __init__(self, command: Any, pass_fds: tuple[int], env: Any) -> None:
        self.sock = socket.socket(fileno=os.dup(pass_fds[0]))
        self.sock.setblocking(False)
        Process.all.append(self)
        self.returncode: int | None = None
        self.pid = 0

    def told(self) -> list[tuple[str, int]]:
        """What, and how many descriptors came along."""
        found: list[tuple[str, int]] = []
        while True:
            try:
                said, descriptors, _, _ = socket.recv_fds(self.sock, 65536, 4)
            except BlockingIOError:
                return found
            if not said:
                return [*found, ("end", 0)]
            order = json.loads(said)
            words = order.get("what", "begin"), order.get("tap", ""), order.get("sink", ""), *order.get("anew", ())
            found.append((" ".join(filter(None, words)), len(descriptors)))
            for descriptor in descriptors:
                os.close(descriptor)

    def say(self, **work: list[int]) -> None:
        self.sock.send(json.dumps({"work": {"ids": work}, "torn": 0}).encode())


@pytest.fixture
def taps(monkeypatch: pytest.MonkeyPatch) -> Iterator[Taps]:
    Process.all = []
    monkeypatch.setattr(subprocess, "Popen", Process)
    with socket.socket() as sock:
        taps = Taps(None, {AT: sock})
        yield taps
        taps.close()
    for process in Process.all:
        process.sock.close()


def config(**settings: Any) -> Config:
    taps = (TapConfig(**settings, name="ids"),) if settings else ()
    return model.Config(source="f.toml", listen=(), routes=(), pools=(), taps=taps)


def test_not_wanted(taps: Taps, tmp_path: Path) -> None:
    """Files are the workers' own: there is no process then."""
    for each in (config(), config(folder=tmp_path)):
        assert taps.serve(1, [each], 0.0) is None
        taps.look([each], [1], 0.0)
    assert Process.all == []
    assert taps.next_deadline() == float("inf")


def test_settings_come_before_workers(taps: Taps) -> None:
    """Whatever a worker says finds everything in its place; a second one needs nothing more."""
    first, second = taps.serve(1, [config(listen=AT)], 0.0), taps.serve(2, [config(listen=AT)], 0.0)
    assert first is not None
    assert second is not None
    [process] = Process.all
    assert process.told() == [("begin", 0), ("settle ids", 1), ("serve", 1), ("serve", 1)]
    first.close()
    second.close()


def test_a_reload(taps: Taps, tmp_path: Path) -> None:
    """What serves wins, as long as it does; what changes is told, what does not is left alone, and with the last it ends."""
    old, new = config(listen=AT), config(listen=AT, fifo=tmp_path / "pipe")
    sock = taps.serve(1, [old], 0.0)
    [process] = Process.all
    process.told()
    taps.look([old, new], [1], 1.0)
    assert process.told() == []
    taps.look([new, old], [1], 2.0)
    assert process.told() == [("settle ids fifo", 1)]
    taps.look([config(), new], [1], 3.0)
    assert process.told() == []
    taps.look([config()], [1], 4.0)
    assert process.told() == [("forget ids", 0)]
    taps.look([config()], [], 5.0)
    assert process.told() == [("end", 0)]
    assert sock is not None
    sock.close()


def test_another_takes_its_place(taps: Taps) -> None:
    """With the workers' sockets, not at once, and counts go on."""
    here = config(listen=AT)
    sock = taps.serve(1, [here], 0.0)
    assert sock is not None
    Process.all[0].say(listen=[5, 1, 0, 0, 2, 0])
    taps.look([here], [1], 0.1)
    assert taps.work() == [TapWork("ids", "listen", 5, 1, 0, 0, 2, 0)]
    Process.all[0].sock.close()
    taps.look([here], [1], 0.2)
    assert len(Process.all) == 1
    assert taps.work() == [TapWork("ids", "listen", 5, 1, 0, 0, 0, 0)]
    sock.send(b"it stays, whoever reads")
    taps.look([here], [1], 1.3)
    assert Process.all[1].told() == [("begin", 0), ("settle ids", 1), ("serve", 1)]
    Process.all[1].say(listen=[2, 0, 0, 0, 1, 0])
    taps.look([here], [1], 1.4)
    assert taps.work() == [TapWork("ids", "listen", 7, 1, 0, 0, 1, 0)]
    sock.close()


def test_one_that_does_not_read(taps: Taps) -> None:
    """It is given up: the master waits for nobody."""
    sock = taps.serve(1, [config(listen=AT)], 0.0)
    for row in range(2, 3000):
        other = taps.serve(row, [config(listen=AT)], 0.0)
        assert other is not None
        other.close()
        taps._forget_worker(row)
        if len(Process.all) > 1:
            break
    assert len(Process.all) == 2
    assert sock is not None
    sock.close()


def test_pipes_and_interfaces_are_tried_again(taps: Taps, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As long as they are not there; why is told once."""
    told: list[str] = []

    class Log:
        def error(self, event: str, **facts: Any) -> None:
            told.append(event)

        info = error

    monkeypatch.setattr(module, "get_logger", Log)
    here, pipe = config(fifo=tmp_path / "pipe"), tmp_path / "pipe"
    sock = taps.serve(1, [here], 0.0)
    [process] = Process.all
    process.told()
    for now in (1.0, 2.0):
        taps.look([here], [1], now)
    assert told == ["tap.not_opened"]
    assert taps.next_deadline() < 3.0
    os.mkfifo(pipe)
    reading = os.open(pipe, os.O_RDONLY | os.O_NONBLOCK)
    taps.look([here], [1], 3.0)
    assert process.told() == [("open ids fifo", 1)]
    assert told[-1] == "tap.opened"
    process.say(fifo=[0, 0, 0, 0, 1, 0])
    taps.look([here], [1], 4.0)
    assert process.told() == []
    assert taps.next_deadline() == float("inf")
    os.close(reading)
    assert sock is not None
    sock.close()
