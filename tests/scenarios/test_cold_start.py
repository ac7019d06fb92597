"""Whoever passes its first check first does not get everything: not after a start, and not when all were down."""

from __future__ import annotations

import json
import threading
import time
from contextlib import ExitStack
from pathlib import Path

from tests.conftest import Stage
from tests.support.backends import Conversation, Scripted
from tests.support.process import run_cli
from tests.support.waiting import PATIENCE


class Checked:
    """A backend whose checks are answered as the test says, and whose requests always are."""

    def __init__(self, first: float) -> None:
        """`first`: seconds that the first check takes."""
        self.first = first
        self.status = 200
        self.held = threading.Event()
        self.held.set()
        self.requests = 0

    def script(self, conversation: Conversation) -> None:
        """One connection."""
        head = conversation.read_head()
        if b" /health " not in head:
            while head:
                self.requests += 1
                conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok")
                head = conversation.read_head()
            return
        delay, self.first = self.first, 0.0
        time.sleep(delay)
        self.held.wait(PATIENCE)
        conversation.send(b"HTTP/1.1 %d Said\r\nContent-Length: 0\r\nConnection: close\r\n\r\n" % self.status)


def test_a_cold_start_and_the_end_of_an_outage(stage: Stage, tmp_path: Path) -> None:
    """Two of three backends take 0.9 s for their first check, and later a check that does not end: all three get requests."""
    backends = [Checked(0.0), Checked(0.9), Checked(0.9)]
    with ExitStack() as stack:
        scripted = [stack.enter_context(Scripted(backend.script)) for backend in backends]
        health = {"type": "http", "path": "/health", "interval": "200ms", "timeout": "5s", "rise": 1, "fall": 1}
        config = stage.config(*[one.address for one in scripted], app={"health": health, "fail_open": 0}, workers=2)
        config["proxy"]["control"] = str(tmp_path / "control.sock")
        proxy = stage.run(config)

        def thirty() -> list[int]:
            before = [backend.requests for backend in backends]
            with stage.client(proxy) as client:
                for _ in range(30):
                    assert client.request("GET", "/").status == 200
            return [backend.requests - had for backend, had in zip(backends, before, strict=True)]

        assert thirty() == [10, 10, 10]
        for backend in backends:
            backend.status = 503
        for one in scripted:
            proxy.wait_event("backend.down", backend=one.address)
        done = run_cli("status", "--control", config["proxy"]["control"], "--json")
        down = json.loads(done.stdout)["pools"][0]["backends"]
        assert [one["why"] for one in down] == ["bad status: 503"] * 3
        assert all(0 < one["health_since"] <= time.time() < one["next_check"] + 1 for one in down)
        for backend in backends[1:]:
            backend.held.clear()
        backends[0].status = 200
        proxy.wait_event("backend.up", backend=scripted[0].address, skip=1)
        shares = thirty()
        assert min(shares) >= 8, shares
        for backend in backends[1:]:
            backend.held.set()
