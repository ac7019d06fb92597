"""Reloads that really change things, under clients that never try anything twice: nobody loses a request."""

from __future__ import annotations

import os
import socket
import time
from contextlib import ExitStack
from dataclasses import replace

from bench.reload.load import Load, told
from tests.conftest import Stage
from tests.support.moving_site import MovingSite, accepts
from tests.support.ports import free_port
from tests.support.reloads import Reloads, assert_served, stopped
from tests.support.waiting import eventually

RELOADS = int(os.environ.get("RELOADS", "10"))
"""A multiple of ten makes each change there and back. 30 take about a minute."""
APART = 1.0
"""Seconds from one reload to the next at least, so that idle clients are in every state."""
QUEUE_WITHIN = 0.5
"""Seconds that clients have to queue up; it took less than 0.3 s whenever they did."""


def test_nothing_is_lost(stage: Stage) -> None:
    """Backends, routes, listeners, certificates and workers come and go; no request is lost, and every old worker leaves."""
    site = MovingSite(stage)
    with Load(replace(site.job(), h2=2)) as load:
        for _ in range(RELOADS):
            begun = time.monotonic()
            site.next_change()
            time.sleep(max(0.0, begun + APART - time.monotonic()))
        tally = load.stop()
    assert not tally.lost, told(tally)
    assert "reset" not in tally.noticed, told(tally)
    assert tally.done["busy"] > 50 * RELOADS
    assert min(tally.done[kind] for kind in ("idle", "fresh", "download", "upload", "h2")) > 0
    assert site.reloads.generation == RELOADS + 1
    site.reloads.only_the_newest()
    assert site.reloads.cut() == 0


def test_full_accept_queues(stage: Stage) -> None:
    """The same when connections queue up: many clients connect at once, and the old workers are too busy to accept."""
    site = MovingSite(stage)
    crowd = replace(site.job(), busy=2, idle=4, fresh=24, downloads=0, uploads=0, fresh_pause=0.005)
    with Load(crowd) as load:
        for _ in range(5):
            with ExitStack() as stop:
                eventually(lambda: _stopped_with_queue(site, stop), "connections wait in the queue", every=0.1)
                site.next_change()
        tally = load.stop()
    assert not tally.lost, told(tally)
    assert tally.done["fresh"] > 100
    site.reloads.only_the_newest()


def _stopped_with_queue(site: MovingSite, stop: ExitStack) -> bool:
    """Stop the workers, until `stop` is closed; whether clients queue up.

    A worker accepts faster than it shakes hands: it may have been stopped when it had nearly everybody in. Then nobody is left to
    queue up, and to wait on would be until the master kills them as hung. So they run on, and are stopped at another moment.
    """
    stop.enter_context(stopped(site.reloads.workers()))
    until = time.monotonic() + QUEUE_WITHIN
    while time.monotonic() < until:
        if _queued(site.proxy.port()) >= 6:
            return True
        time.sleep(0.01)
    stop.close()
    return False


def _queued(port: int) -> int:
    """How long the accept queue of a listener is: its rx_queue in /proc/net/tcp."""
    with open("/proc/net/tcp", encoding="ascii") as table:
        for line in table:
            fields = line.split()
            if fields[1] == f"0100007F:{port:04X}" and fields[3] == "0A":
                return int(fields[4].partition(":")[2], 16)
    return 0


def test_queue_of_a_removed_listener(stage: Stage) -> None:
    """Who was connected to a listener that is removed, and not accepted yet, is served; who comes later is refused."""
    config = stage.config(stage.app().address, workers=2)
    port = free_port()
    config["listen"].append({**config["listen"][0], "address": f"127.0.0.1:{port}"})
    proxy = stage.run(config)
    reloads = Reloads(proxy)
    with stopped(proxy.wait_workers(2)):
        queued = [socket.create_connection(("127.0.0.1", port), 10.0) for _ in range(50)]
        reloads.reload(lambda config: config["listen"].pop())
    assert_served(queued, stage.authority.file)
    eventually(lambda: not accepts(port), "the removed listener refuses")
    reloads.only_the_newest()
