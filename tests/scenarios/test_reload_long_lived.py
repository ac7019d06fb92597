"""What lasts longer than a generation: slow downloads and a tunnel live through reload after reload."""

from __future__ import annotations

import os
import time
from contextlib import ExitStack
from dataclasses import replace

from websockets.sync.client import ClientConnection, connect

from bench.reload.load import Load, told
from tests.conftest import Stage
from tests.support import threaded_tls
from tests.support.backends import websocket_server
from tests.support.moving_site import MovingSite
from tests.support.process import LbProxy
from tests.support.reloads import Reloads
from tests.support.waiting import PATIENCE

SECONDS = float(os.environ.get("LONG_DOWNLOAD", "12"))
RELOADS = 5


def test_downloads(stage: Stage) -> None:
    """Five reloads during two downloads, which then end whole; the busy and idle clients beside them lose nothing either."""
    site = MovingSite(stage)
    for times in (1, 4, 16):  # where the reloads took longer than the downloads, the machine is busy
        seconds = SECONDS * times
        with Load(replace(site.job(), busy=2, idle=12, fresh=1, uploads=0, download_seconds=seconds)) as load:
            begun, before = time.monotonic(), site.reloads.generation
            for _ in range(RELOADS):
                site.next_change()
            took = time.monotonic() - begun
            tally = load.stop()
        assert not tally.lost, told(tally)
        assert tally.done["download"] >= 2
        assert site.reloads.generation == before + RELOADS
        if took < seconds:
            break
    assert took < seconds
    assert tally.done["download"] == 2, "these went on while all reloads took place"
    site.reloads.only_the_newest()
    assert site.reloads.cut() == 0


def _websocket(stage: Stage, proxy: LbProxy) -> ClientConnection:
    context = threaded_tls.context(stage.authority.file)
    return connect(f"wss://localhost:{proxy.port()}/", ssl=context, proxy=None, compression=None, close_timeout=PATIENCE)


def _all_echo(clients: list[ClientConnection]) -> None:
    for number, client in enumerate(clients):
        client.send(f"message {number}")
        assert client.recv(PATIENCE) == f"message {number}"


def test_websockets(stage: Stage) -> None:
    """Tunnels of several generations live through five reloads, and say goodbye properly at the end."""
    proxy = stage.proxy(stage.server(websocket_server(stage.directory)).address, workers=2)
    reloads = Reloads(proxy)
    with ExitStack() as open_:
        first = [open_.enter_context(_websocket(stage, proxy)) for _ in range(4)]
        reloads.reload()
        with _websocket(stage, proxy) as second:
            reloads.reload()
            _all_echo([*first, second])
        for _ in range(RELOADS - 2):  # three generations live at most: the second one had to make room
            reloads.reload()
            _all_echo(first)
    assert [client.close_code for client in first] == [1000] * 4
    reloads.only_the_newest()
    assert reloads.cut() == 0


def test_idle_connections_do_not_hold_up(stage: Stage) -> None:
    """A tunnel holds the place of its generation; the reload that needs another one gets it from those who are only idle."""
    server = stage.server(websocket_server(stage.directory))
    proxy = stage.proxy(server.address, workers=2, proxy={"drain_timeout": "10m"})
    reloads = Reloads(proxy)
    with _websocket(stage, proxy) as tunnel:
        reloads.reload()
        idle = [stage.client(proxy) for _ in range(8)]
        for client in idle:
            assert client.request("GET", "/refused").status == 403
        reloads.reload()
        begun = time.monotonic()
        reloads.reload()
        assert time.monotonic() - begun < PATIENCE, "it waited for the end of drain_timeout"
        tunnel.send("still there")
        assert tunnel.recv(PATIENCE) == "still there"
        assert all(client.ended() for client in idle)
