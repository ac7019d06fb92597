"""Reloads while workers are killed: what is lost are requests on the dead worker's own connections, and no others."""

from __future__ import annotations

import os
import random
import signal
import time

import psutil

from bench.reload.load import Load, told
from bench.reload.outcome import EXAMPLES
from tests.conftest import Stage
from tests.support.moving_site import MovingSite
from tests.support.waiting import eventually

KILLS = int(os.environ.get("KILLS", "4"))
APART = 2.0


def _kill(pid: int, port: int) -> set[int]:
    """SIGKILL; the clients' ports of the connections that die with it. Stopped first, so that it cannot accept meanwhile."""
    process = psutil.Process(pid)
    process.suspend()
    doomed = {
        one.raddr.port
        for one in process.net_connections("tcp")
        if one.laddr.port == port and one.raddr and one.status != psutil.CONN_LISTEN
    }
    process.kill()
    return doomed


def test_only_its_own(stage: Stage) -> None:
    """A worker of the newest or of a draining generation is killed every two seconds, between reloads that change things."""
    site = MovingSite(stage)
    doomed: set[int] = set()
    with Load(site.job()) as load:
        for turn in range(KILLS):
            begun = time.monotonic()
            site.next_change()
            newest = site.reloads.workers()
            older = [pid for pid in site.proxy.workers() if pid not in newest]
            victim = random.choice(older if older and turn % 2 else newest)
            doomed |= _kill(victim, site.proxy.port())
            eventually(lambda: len(site.reloads.workers()) >= len(newest), "a new worker in its place")  # noqa: B023  # asked right here
            time.sleep(max(0.0, begun + APART - time.monotonic()))
        tally = load.stop()
    assert site.reloads.generation == KILLS + 1
    assert tally.lost.total() <= min(len(doomed), EXAMPLES), told(tally)
    assert {loss.local_port for loss in tally.losses} <= doomed, told(tally)
    assert tally.done["busy"] > 100
    site.reloads.only_the_newest()


def test_the_master_is_stopped_meanwhile(stage: Stage) -> None:
    """A master that does not run for a while (a stopped terminal) and then finds a SIGHUP waiting: reloads, and kills nobody."""
    site = MovingSite(stage)
    with Load(site.job()) as load:
        before = set(site.reloads.workers())
        os.kill(site.proxy.pid, signal.SIGSTOP)
        try:
            site.proxy.signal(signal.SIGHUP)
            time.sleep(6.0)  # longer than a silent worker lives
        finally:
            os.kill(site.proxy.pid, signal.SIGCONT)
        site.proxy.wait_event("reloaded")
        tally = load.stop()
    assert not tally.lost, told(tally)
    assert not site.proxy.events("worker.hung")
    assert before.isdisjoint(site.reloads.workers())
