"""Least connections is exact over all workers: backends never differ by more than one request, and the books close at zero."""

from __future__ import annotations

import os
import random
import signal

from tests.conftest import Stage
from tests.support.shared import LedgerView
from tests.support.waiting import eventually


def test_300_held_requests(stage: Stage) -> None:
    """4 workers, 3 backends that hold their requests: at every step, on every level, the difference is at most 1."""
    apps = [stage.app(f"app{number}") for number in range(3)]
    proxy = stage.proxy(*[app.address for app in apps], workers=4)
    proxy.wait_up(*[app.address for app in apps])
    proxy.wait_workers(4)
    with LedgerView(proxy.pid) as view:
        clients = [stage.client(proxy) for _ in range(300)]
        for batch in range(0, 300, 50):
            for client in clients[batch : batch + 50]:  # fifty at once, over four workers
                client.send_head("GET", "/hold")
                counts = view.in_flight(3)
                assert max(counts) - min(counts) <= 1, counts
            eventually(lambda wanted=batch + 50: sum(view.in_flight(3)) == wanted, f"{batch + 50} requests in flight")  # type: ignore[misc]
            counts = view.in_flight(3)
            assert max(counts) - min(counts) <= 1, counts
        eventually(lambda: [app.held() for app in apps] == [100, 100, 100], "the backends count the same")
        assert view.live() == 300
        assert not view.verify()
        for app in apps:
            app.release()
        for client in clients:
            assert client.response().status == 200
        eventually(lambda: view.in_flight(3) == [0, 0, 0] and view.live() == 0, "empty books")
        assert not view.verify()


def test_uneven_ends_are_levelled(stage: Stage) -> None:
    """Requests that end at different times leave gaps, and the next ones fill them."""
    apps = [stage.app(f"app{number}") for number in range(3)]
    proxy = stage.proxy(*[app.address for app in apps], workers=4)
    proxy.wait_up(*[app.address for app in apps])
    with LedgerView(proxy.pid) as view:
        held = [stage.client(proxy) for _ in range(60)]
        for client in held:
            client.send_head("GET", "/hold")
        eventually(lambda: sum(app.held() for app in apps) == 60, "60 held requests")
        apps[1].release()
        eventually(lambda: view.in_flight(3) == [20, 0, 20], "one backend empty")
        more = [stage.client(proxy) for _ in range(20)]
        for client in more:
            client.send_head("GET", "/hold")
        eventually(lambda: view.in_flight(3) == [20, 20, 20], "the empty backend got all new requests")


def test_weights(stage: Stage) -> None:
    """A backend of weight 2 holds twice as many."""
    apps = [stage.app(f"app{number}") for number in range(2)]
    backends = [{"address": apps[0].address, "weight": 2}, {"address": apps[1].address}]
    config = stage.config(workers=2)
    config["pool"]["app"]["backends"] = backends
    proxy = stage.run(config)
    proxy.wait_up(*[app.address for app in apps])
    with LedgerView(proxy.pid) as view:
        clients = [stage.client(proxy) for _ in range(60)]
        for client in clients:
            client.send_head("GET", "/hold")
        eventually(lambda: sum(view.in_flight(2)) == 60, "60 requests in flight")
        assert view.in_flight(2) == [40, 20]


def test_books_close_after_a_worker_died(stage: Stage) -> None:
    """Workers die with requests in flight, others go on: still within 1, and zero in the end."""
    chance = random.Random(2)
    apps = [stage.app(f"app{number}") for number in range(3)]
    proxy = stage.proxy(*[app.address for app in apps], workers=4)
    proxy.wait_up(*[app.address for app in apps])
    workers = proxy.wait_workers(4)
    with LedgerView(proxy.pid) as view:
        clients = [stage.client(proxy) for _ in range(120)]
        for client in clients:
            client.send_head("GET", "/hold")
        eventually(lambda: sum(view.in_flight(3)) == 120, "120 requests in flight")
        os.kill(chance.choice(workers), signal.SIGKILL)
        eventually(lambda: sum(view.in_flight(3)) < 120, "the dead worker's requests written off")
        proxy.wait_workers(4)
        eventually(lambda: sum(view.in_flight(3)) == sum(app.held() for app in apps), "books and backends agree")
        left = sum(view.in_flight(3))
        fresh = [stage.client(proxy) for _ in range(60)]
        for client in fresh:
            client.send_head("GET", "/hold")
        eventually(lambda: sum(view.in_flight(3)) == left + 60, "60 more")
        counts = view.in_flight(3)
        assert max(counts) - min(counts) <= 1, counts
        eventually(lambda: sum(app.held() for app in apps) == left + 60, "the backends have them all")
        for app in apps:
            app.release()
        for client in fresh:
            assert client.response().status == 200
        eventually(lambda: view.in_flight(3) == [0, 0, 0] and view.live() == 0, "empty books")
        assert not view.verify()
