"""A thousand clients where there are descriptors for a hundred: who is served goes on being served, and the others wait."""

from __future__ import annotations

import os
import socket
import threading
import time
from contextlib import ExitStack, suppress

import psutil

from lbproxy.net.lingering import BUSY_LINGER
from tests.conftest import Stage
from tests.support.ports import free_port
from tests.support.shared import LedgerView
from tests.support.tools import need
from tests.support.waiting import eventually
from tests.support.wire import Client, Truncated

LIMIT = 256
CROWD = 1000


def under_the_limit() -> list[str]:
    """`ulimit -n 256`, and not for root to raise again."""
    unprivileged = [need("setpriv"), "--bounding-set=-sys_resource", "--inh-caps=-sys_resource"] if os.geteuid() == 0 else []
    return [*unprivileged, need("prlimit"), f"--nofile={LIMIT}"]


def test_a_crowd(stage: Stage) -> None:
    """Nobody hears 502 because the crowd has taken the descriptors that connections to backends need; accepting just waits."""
    config = stage.config(stage.app().address, timeouts={"request_head": "1s"})
    config["listen"] = [{"address": f"127.0.0.1:{free_port()}"}]
    proxy = stage.run(config, under=under_the_limit())
    [pid] = proxy.wait_workers(1)
    worker = psutil.Process(pid)
    with ExitStack() as stack:
        good = stack.enter_context(Client(proxy.port()))
        assert good.request("GET", "/farewell").status == 200
        crowd = []
        for _ in range(CROWD):
            one = stack.enter_context(socket.socket())
            one.setblocking(False)
            one.connect_ex(("127.0.0.1", proxy.port()))
            crowd.append(one)
        eventually(lambda: worker.num_fds() > 80, "the crowd is there")
        most = 0
        for _ in range(50):
            try:
                answer = good.request("GET", "/farewell")
            except Truncated:  # idle for a second, on a busy machine, it has made room for a newcomer; it comes back as one
                good = stack.enter_context(Client(proxy.port()))
                answer = good.request("GET", "/farewell")
            assert answer.status == 200, "each by a new connection to the backend"
            most = max(most, worker.num_fds())
        assert most < LIMIT
        for one in crowd:
            one.close()
        late = stack.enter_context(Client(proxy.port()))
        assert late.request("GET", "/farewell").status == 200
    assert not proxy.events("accept.exhausted")
    assert not proxy.events("request.fault")
    assert {line["status"] for line in proxy.wait_access(count=52)} == {200}
    assert proxy.workers() == [pid]
    with LedgerView(proxy.pid) as view:
        eventually(lambda: view.in_flight(1) == [0] and not view.verify(), "clean books")


def test_a_crowd_that_is_refused_and_sends_on(stage: Stage) -> None:
    """Its descriptors are not kept for as long as it likes to send: a newcomer does not wait for half a minute."""
    config = stage.config(stage.app().address)
    config["listen"] = [{"address": f"127.0.0.1:{free_port()}"}]
    proxy = stage.run(config, under=under_the_limit())
    [pid] = proxy.wait_workers(1)
    worker = psutil.Process(pid)
    begun = time.monotonic()
    with ExitStack() as stack:
        crowd = [stack.enter_context(socket.create_connection(("127.0.0.1", proxy.port()))) for _ in range(LIMIT)]
        for one in crowd:
            one.sendall(b"nonsense\r\n\r\n")
        eventually(lambda: worker.num_fds() > LIMIT - 80, "all descriptors are taken that there are for clients")
        over = threading.Event()
        dripping = threading.Thread(target=drip, args=(crowd, over))
        dripping.start()
        stack.callback(dripping.join)
        stack.callback(over.set)
        late = stack.enter_context(Client(proxy.port()))
        assert late.request("GET", "/echo").status == 200
        assert time.monotonic() - begun < BUSY_LINGER
    assert not proxy.events("accept.exhausted")


def drip(crowd: list[socket.socket], over: threading.Event) -> None:
    """A byte from each now and then."""
    while not over.wait(0.5):
        for one in crowd:
            with suppress(OSError):
                one.send(b"x")
