"""Clients and backends do their worst for some seconds; afterwards the books are balanced and nothing has leaked."""

from __future__ import annotations

import random
import socket
import ssl
import threading
import time
from collections.abc import Callable

import psutil

from tests.conftest import Stage
from tests.support.shared import LedgerView
from tests.support.waiting import PATIENCE, eventually
from tests.support.wire import Client, Response

TARGETS = [
    "/echo",
    "/bytes/300000",
    "/bytes/70000?chunked=1",
    "/bytes/50000?close=1",
    "/status/204",
    "/status/500",
    "/slow?s=0.05",
    "/hints",
    "/drip?n=5&s=0.02",
    "/truncate",
    "/truncate?chunked=1",
    "/reset",
    "/reset?after=head",
    "/garbage",
    "/farewell",
    "/refuse",
    "/mirror",
]


class Vandal(threading.Thread):
    """A client that behaves well, badly, or not at all, as its dice say."""

    def __init__(self, port: int, context: ssl.SSLContext, seed: int, over: Callable[[], bool]) -> None:
        super().__init__()
        self._port, self._context, self._dice, self._over = port, context, random.Random(seed), over
        self.answers = 0
        self.wrong: list[str] = []

    def run(self) -> None:
        """Until it is over."""
        while not self._over():
            try:
                self._visit()
            except (AssertionError, OSError):
                continue  # cut, truncated, reset: all part of it

    def _visit(self) -> None:
        dice = self._dice
        if dice.random() < 0.1:
            with socket.create_connection(("127.0.0.1", self._port), 60) as raw:
                raw.sendall(dice.randbytes(dice.randrange(300)))
            return
        with Client(self._port, context=self._context, timeout=PATIENCE) as client:
            for _ in range(dice.randrange(1, 6)):
                self._ask(client)

    def _ask(self, client: Client) -> None:
        dice, target = self._dice, self._dice.choice(TARGETS)
        body = b"v" * dice.choice([0, 10, 5000, 200_000])
        method = dice.choice(["GET", "POST"]) if body else "GET"
        way = dice.random()
        if way < 0.6:
            self._judge(target, body, client.request(method, target, body=body if method == "POST" else None))
        elif way < 0.7:
            client.send_head("POST", target, length=len(body) + 1)
            client.send(body)
            client.reset()
        elif way < 0.8:
            client.send_head("GET", target)
            client.reset()
        elif way < 0.9:
            client.send_head("GET", target)
            client.some()
            client.close()
        else:
            client.send(b"GET " + dice.randbytes(30) + b"\r\n\r\n")
            client.rest()

    def _judge(self, target: str, body: bytes, response: Response) -> None:
        self.answers += 1
        if target == "/bytes/300000" and response.status == 200 and len(response.body) != 300_000:
            self.wrong.append(f"{target}: {len(response.body)} bytes")
        if target == "/mirror" and response.status == 200 and response.body not in (body, b""):
            self.wrong.append(f"{target}: sent {len(body)}, got {len(response.body)}")


def test_nothing_leaks(stage: Stage) -> None:
    """Workers live, no exception escapes, gauges are zero, descriptors are given back."""
    apps = [stage.app(f"app{number}") for number in range(3)]
    timeouts = {"request_head": "1s", "body_idle": "1s", "keepalive": "1s", "handshake": "1s", "response_head": "2s"}
    proxy = stage.proxy(*[app.address for app in apps], workers=2, timeouts=timeouts, app={"health": {"type": "off"}})
    workers = sorted(proxy.wait_workers(2))
    before = {pid: psutil.Process(pid).num_fds() for pid in workers}
    context = ssl.create_default_context(cafile=str(stage.authority.file))
    begun = time.monotonic()
    vandals: list[Vandal] = []

    def over() -> bool:
        """After some seconds, but not before they have met answers: on a busy machine that may take longer."""
        took = time.monotonic() - begun
        return took > PATIENCE or (took > 6.0 and sum(vandal.answers for vandal in vandals) > 100)

    vandals += [Vandal(proxy.port(), context, seed, over) for seed in range(12)]
    for vandal in vandals:
        vandal.start()
    for vandal in vandals:
        vandal.join()
    assert sum(vandal.answers for vandal in vandals) > 100
    assert not [wrong for vandal in vandals for wrong in vandal.wrong]
    assert sorted(proxy.workers()) == workers, "nobody died"
    for app in apps:
        assert app.state()["complaints"] == [], "what arrived at the backends was HTTP"
    with LedgerView(proxy.pid) as view:
        eventually(lambda: view.in_flight(3) == [0, 0, 0] and view.live() == 0 and not any(view.connections()), "empty books")
        assert not view.verify()
    for app in apps:
        app.kill()  # closes the idle connections to backends
    eventually(
        lambda: all(psutil.Process(pid).num_fds() <= before[pid] for pid in workers),
        "descriptors given back",
    )
