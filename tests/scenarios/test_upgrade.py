"""SIGUSR2: the master goes on as a new program, in the same process, and nobody notices."""

from __future__ import annotations

import os
import signal
from pathlib import Path

import psutil

from bench.reload.load import Load, told
from tests.conftest import Stage
from tests.support.moving_site import MovingSite
from tests.support.reloads import children
from tests.support.waiting import PATIENCE, eventually


def executed(pid: int) -> bytes:
    """What the process runs, as the kernel knows it: its environment is replaced by an execve and by nothing else."""
    return Path(f"/proc/{pid}/environ").read_bytes()


def said(pid: int) -> bytes:
    """Its arguments; b"": it has ended."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes()
    except FileNotFoundError:
        return b""


def test_nothing_is_lost(stage: Stage) -> None:
    """Two upgrades under load: same pid, same sockets, a new generation each, no request lost, and reloads work afterwards."""
    site = MovingSite(stage)
    proxy, reloads = site.proxy, site.reloads
    with Load(site.job()) as load:
        for turn in (2, 3):
            proxy.signal(signal.SIGUSR2)
            event = proxy.wait_event("reloaded", skip=turn - 2, within=2 * PATIENCE)
            assert event["generation"] == turn
            assert event["pid"] == proxy.pid
        reloads.only_the_newest(within=60)
        site.next_change()
        tally = load.stop()
    assert not tally.lost, told(tally)
    assert min(tally.done[kind] for kind in ("idle", "fresh", "download", "upload")) > 0
    assert len(proxy.events("started")) == 3
    assert b"LBPROXY_BEQUEST" in executed(proxy.pid)  # it was executed with one ...
    for child in psutil.Process(proxy.pid).children():
        assert not [entry for entry in child.open_files() if "bequest" in entry.path]  # ... which no child keeps
    proxy.signal(signal.SIGTERM)
    assert proxy.wait() == 0


def test_new_code_that_does_not_like_the_file(stage: Stage) -> None:
    """The old program and its workers go on, and the log says why."""
    proxy = stage.proxy(stage.app().address, workers=2)
    workers = proxy.workers()
    proxy.file.write_text("[proxy\n")
    proxy.signal(signal.SIGUSR2)
    refused = proxy.wait_event("upgrade.refused")
    assert str(proxy.file) in refused["why"]
    with stage.client(proxy) as client:
        assert client.request("GET", "/echo").status == 200
    assert proxy.workers() == workers
    assert not proxy.events("upgrade.begun")


def test_a_worker_that_dies_right_after_an_upgrade(stage: Stage) -> None:
    """Its old program is gone: a generation of the new one takes over."""
    proxy = stage.proxy(stage.app().address, workers=2)
    proxy.signal(signal.SIGUSR2)
    proxy.wait_event("upgrade.begun")
    for pid in proxy.workers():
        psutil.Process(pid).kill()
    proxy.wait_event("reloaded", within=2 * PATIENCE)
    eventually(lambda: len(proxy.workers()) == 2, "two workers of the new program")
    with stage.client(proxy) as client:
        assert client.request("GET", "/echo").status == 200


def test_terminated_while_the_new_code_is_tried(stage: Stage) -> None:
    """The master goes on meanwhile: it hears what it is told, here that it is over, and nothing is left behind."""
    proxy = stage.proxy(stage.app().address, workers=1)
    proxy.settled()
    before = set(children(proxy.pid))
    proxy.signal(signal.SIGUSR2)
    # Not before it is executed: until then whoever forked it waits for that.
    tried = eventually(lambda: [pid for pid in {*children(proxy.pid)} - before if b"check" in said(pid)], "the new code is tried")
    for pid in tried:
        os.kill(pid, signal.SIGSTOP)  # for as long as it takes
    proxy.signal(signal.SIGTERM)
    assert proxy.wait() == 0
    assert not proxy.events("upgrade.begun")


def test_upgraded_while_nobody_serves(stage: Stage) -> None:
    """New code is wanted most when the old one's workers die: there is nobody to take over from, and a generation starts."""
    proxy = stage.proxy(stage.app().address, workers=2)
    proxy.signal(signal.SIGSTOP)
    for pid in children(proxy.pid):
        os.kill(pid, signal.SIGKILL)
    proxy.signal(signal.SIGUSR2)
    proxy.signal(signal.SIGCONT)
    proxy.wait_event("upgrade.begun")
    assert proxy.wait_event("reloaded", within=2 * PATIENCE)["generation"] == 2
    with stage.client(proxy) as client:
        assert client.request("GET", "/echo").status == 200
    eventually(lambda: len(proxy.workers()) == 2, "two workers, and no more")
