"""A disk that does not answer: a process waits for it that nobody else waits for."""

from __future__ import annotations

import fcntl
import json
import os
import signal
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil

from lbproxy.master.files.looker import MEMORY, PLACE
from tests.conftest import Stage
from tests.scenarios.test_certificates import put, shown, verifying
from tests.support.process import LbProxy, run_cli, title_of
from tests.support.waiting import eventually


def looker(proxy: LbProxy) -> psutil.Process | None:
    """The process that looks at files."""
    return next((one for one in proxy.members() if title_of(one).startswith("lbproxy: files")), None)


def passing(proxy: LbProxy) -> bytes:
    """The path that it looks at; b"": none."""
    for entry in Path(f"/proc/{proxy.pid}/fd").iterdir():
        with suppress(FileNotFoundError):  # closed while we looked
            if MEMORY in os.readlink(entry):
                return entry.read_bytes()[:PLACE].partition(b"\0")[0]
    raise AssertionError("the master has nobody look at files")


def stop_between_looks(proxy: LbProxy, one: psutil.Process) -> None:
    """So that it stands still at no path."""

    def stopped() -> bool:
        one.suspend()
        eventually(lambda: one.status() == psutil.STATUS_STOPPED, "it has stopped")
        if not passing(proxy):
            return True
        one.resume()
        return False

    eventually(stopped, "it looks at nothing")


def test_who_looks_at_files_hangs(stage: Stage) -> None:
    """A dead worker is replaced meanwhile and operators are answered; it is told, in status too, and followed by one that sees the
    next renewal. (Stopped by a signal: a disk that hangs cannot be had here. Which files are left out where one hangs is tried in
    tests/unit/master/files/test_watch.py.)"""
    folder = stage.directory / "certs"
    put(stage.authority, folder / "a.crt", folder / "a.key", "localhost")
    control = stage.directory / "c.sock"
    config: dict[str, Any] = stage.config(stage.app().address, proxy={"control": str(control)})
    config["listen"][0]["certificates"] = str(folder)
    proxy = stage.run(config)
    eventually(lambda: looker(proxy), "somebody looks at files")
    first = looker(proxy)
    assert first is not None
    stop_between_looks(proxy, first)
    [worker] = proxy.wait_workers(1)
    os.kill(worker, signal.SIGKILL)
    eventually(lambda: proxy.workers() not in ([], [worker]), "another worker")
    proxy.wait_event("files.hang")
    told = json.loads(run_cli("status", "--control", str(control), "--json").stdout)
    assert told["files"] is None or told["files"]["file"] == ""
    fresh = put(stage.authority, folder / "a.crt", folder / "a.key", "localhost")
    eventually(lambda: shown(proxy, verifying(stage), "localhost") == fresh, "another one has seen it")
    proxy.wait_event("files.seen_again")
    assert looker(proxy) != first
    assert len(proxy.events("files.hang")) == 1


@contextmanager
def nobody_opens(path: Path) -> Iterator[None]:
    """Whoever opens it waits, as for a disk that hangs: by a lease (fcntl(2)), which the kernel honours for 45 seconds."""
    before = signal.signal(signal.SIGIO, signal.SIG_IGN)  # by which we are asked to give it up
    file = os.open(path, os.O_RDWR)
    try:
        fcntl.fcntl(file, fcntl.F_SETLEASE, fcntl.F_WRLCK)
        yield
    finally:
        os.close(file)
        signal.signal(signal.SIGIO, before)


def test_a_reload_of_files_that_hang(stage: Stage) -> None:
    """It is kept waiting, or refused with the path, and the master waits for nothing: a dead worker is replaced, operators are
    answered. When the disk answers again a reload is what it always is."""
    control = stage.directory / "c.sock"
    proxy = stage.run(stage.config(stage.app().address, proxy={"control": str(control)}))
    [worker] = proxy.wait_workers(1)
    with nobody_opens(proxy.file):
        os.kill(proxy.pid, signal.SIGHUP)
        proxy.wait_event("reload.begun")
        os.kill(worker, signal.SIGKILL)
        eventually(lambda: proxy.workers() not in ([], [worker]), "another worker")
        assert run_cli("status", "--control", str(control)).returncode == 0
        assert not proxy.events("reloaded")
    eventually(lambda: proxy.events("reloaded") or proxy.events("reload.failed"), "that reload has its end")
    for failed in proxy.events("reload.failed"):  # this machine is very slow
        assert f"nothing is heard of the disk that {proxy.file} is on" in str(failed)
    ended = run_cli("reload", "--control", str(control))
    assert ended.returncode == 0, ended
