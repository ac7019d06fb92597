"""The end under load: whoever was accepted is answered, and no client sees anything but a refused connection afterwards."""

from __future__ import annotations

import signal
import socket
import time

import pytest

from bench.reload.load import Load, told
from bench.reload.outcome import Tally
from tests.conftest import Stage
from tests.support.moving_site import MovingSite
from tests.support.reloads import assert_served, stopped
from tests.support.waiting import eventually

DOWNLOADS_END_WITHIN = 60.0


def _assert_only_refused(tally: Tally) -> None:
    assert set(tally.lost) <= {"refused"}, told(tally)
    assert tally.lost["refused"] > 0, "the load was meant to go on when lbproxy was gone"
    assert tally.done["download"] > 0


@pytest.mark.parametrize("in_a_reload", [False, True])
def test_terminated(stage: Stage, in_a_reload: bool) -> None:
    """SIGTERM, also right after a SIGHUP: exit 0, and everything that was accepted is answered, slow downloads included."""
    site = MovingSite(stage)
    with Load(site.job()) as load:
        time.sleep(1.0)
        if in_a_reload:
            site.proxy.signal(signal.SIGHUP)
            time.sleep(0.05)
        site.proxy.signal(signal.SIGTERM)
        assert site.proxy.wait(DOWNLOADS_END_WITHIN) == 0
        eventually(lambda: not site.proxy.members(), "every process gone")
        tally = load.stop()
    _assert_only_refused(tally)


def test_draining_generations_too(stage: Stage) -> None:
    """SIGTERM while two older generations still drain."""
    site = MovingSite(stage)
    with Load(site.job()) as load:
        site.next_change()
        site.next_change()
        site.proxy.signal(signal.SIGTERM)
        assert site.proxy.wait(DOWNLOADS_END_WITHIN) == 0
        eventually(lambda: not site.proxy.members(), "every process gone")
        tally = load.stop()
    _assert_only_refused(tally)


def test_master_killed(stage: Stage) -> None:
    """kill -9 of the master under load, an older generation still draining: the workers finish everything by themselves."""
    site = MovingSite(stage)
    with Load(site.job()) as load:
        site.next_change()
        site.proxy.signal(signal.SIGKILL)
        assert site.proxy.wait() == -signal.SIGKILL
        eventually(lambda: not site.proxy.members(), "every process gone", within=DOWNLOADS_END_WITHIN)
        tally = load.stop()
    _assert_only_refused(tally)


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGKILL])
def test_queue(stage: Stage, number: signal.Signals) -> None:
    """Who was connected and not accepted yet when the master is told to end, or is killed, is served all the same."""
    proxy = stage.proxy(stage.app().address, workers=2)
    with stopped(proxy.wait_workers(2)):
        queued = [socket.create_connection(("127.0.0.1", proxy.port()), 10.0) for _ in range(50)]
        proxy.signal(number)
        if number is signal.SIGTERM:
            proxy.wait_event("draining")
    assert_served(queued, stage.authority.file)
    assert proxy.wait() == (0 if number is signal.SIGTERM else -signal.SIGKILL)
    eventually(lambda: not proxy.members(), "every process gone")
