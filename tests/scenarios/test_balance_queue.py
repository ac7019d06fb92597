"""A backend's limit holds over all workers; who finds it reached waits, in turn, and not for ever."""

from __future__ import annotations

from tests.conftest import Stage
from tests.support.shared import LedgerView, assert_books_close
from tests.support.waiting import eventually


def test_never_more_than_the_limit_over_four_workers(stage: Stage) -> None:
    """24 requests at once for a backend that takes two: it never has a third, and all are served, two by two."""
    app = stage.app()
    limited = {"backends": [{"address": app.address, "max_connections": 2}], "queue_timeout": "30s"}
    proxy = stage.run(stage.config(workers=4, app=limited, proxy={"control": "control.sock"}))
    proxy.wait_up(app.address)
    proxy.wait_workers(4)
    clients = [stage.client(proxy) for _ in range(24)]
    with LedgerView(proxy.pid) as view:
        for client in clients:
            client.send_head("GET", "/hold")
        for left in range(24, 0, -2):
            eventually(lambda: app.held() == 2, f"two of {left} at the backend")
            assert view.in_flight(1) == [2]
            app.release()
        for client in clients:
            assert client.response().status == 200
        eventually(lambda: view.live() == 0, "nothing left")
    lines = proxy.wait_access(count=24, status=200)
    assert sum(line["queue_ms"] > 0 for line in lines) >= 22
    assert_books_close(proxy)


def test_too_many_and_too_long(stage: Stage) -> None:
    """Beyond the queue's length at once, and after its time: 503 with a reason and Retry-After."""
    app = stage.app()
    limited = {"backends": [{"address": app.address, "max_connections": 1}], "queue": 1, "queue_timeout": "300ms"}
    proxy = stage.run(stage.config(workers=2, app=limited))
    proxy.wait_up(app.address)
    first, second, third = (stage.client(proxy) for _ in range(3))
    first.send_head("GET", "/hold")
    eventually(lambda: app.held() == 1, "the only place is taken")
    with LedgerView(proxy.pid) as view:
        second.send_head("GET", "/echo")
        eventually(lambda: view.live() == 1, "one is being served")
        refused = [third.request("GET", "/echo"), second.response()]
    assert [response.status for response in refused] == [503, 503]
    assert all(("retry-after", "1") in [(name.lower(), value) for name, value in response.fields] for response in refused)
    reasons = {line["reason"] for line in proxy.wait_access(count=2, status=503)}
    assert reasons <= {"queue_full", "queue_timeout"}
    assert "queue_timeout" in reasons
    app.release()
    assert first.response().status == 200
    assert_books_close(proxy)
