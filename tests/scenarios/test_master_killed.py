"""When the master dies, nothing is orphaned: workers finish what they have, and then no process is left."""

from __future__ import annotations

import signal

from tests.conftest import Stage
from tests.support.waiting import eventually


def test_no_process_is_left(stage: Stage) -> None:
    """kill -9 of the master: a request under way is answered whole, then everybody is gone and the port is free."""
    app = stage.app()
    proxy = stage.proxy(app.address, workers=2)
    proxy.wait_workers(2)
    client = stage.client(proxy)
    client.send_head("GET", "/hold")
    eventually(lambda: app.held() == 1, "a held request")
    proxy.signal(signal.SIGKILL)
    assert proxy.wait() == -signal.SIGKILL
    app.release()
    response = client.response()
    assert (response.status, response.body) == (200, b"released\n")
    eventually(lambda: not proxy.members(), "every process gone")


def test_idle_children_go_at_once(stage: Stage) -> None:
    """Without work there is nothing to wait for."""
    proxy = stage.proxy(stage.app().address, workers=2)
    proxy.wait_workers(2)
    idle = stage.client(proxy)
    assert idle.request("GET", "/echo").status == 200
    proxy.signal(signal.SIGKILL)
    assert proxy.wait() == -signal.SIGKILL
    eventually(lambda: not proxy.members(), "every process gone")
