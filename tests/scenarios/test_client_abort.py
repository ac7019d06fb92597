"""A client that goes away frees its backend at once, and the log says 499."""

from __future__ import annotations

import pytest

from tests.conftest import Stage
from tests.support.shared import LedgerView
from tests.support.waiting import eventually


@pytest.mark.parametrize("way", ["close", "reset"])
@pytest.mark.parametrize("tls", [True, False])
def test_while_waiting_for_the_response(stage: Stage, way: str, tls: bool) -> None:
    """The backend's work is cancelled, the books are cleared."""
    app = stage.app()
    config = stage.config(app.address)
    if not tls:
        del config["listen"][0]["certificates"]
    proxy = stage.run(config)
    client = stage.client(proxy, tls=tls)
    client.send_head("GET", "/hold")
    eventually(lambda: app.held() == 1, "a held request")
    client.reset() if way == "reset" else client.close()
    eventually(lambda: app.state().get("aborted") == 1, "the backend's work cancelled")
    [line] = proxy.wait_access(status=499)
    assert line["path"] == "/hold"
    with LedgerView(proxy.pid) as view:
        eventually(lambda: view.in_flight(1) == [0], "cleared books")


def test_in_the_middle_of_a_download(stage: Stage) -> None:
    """A client that leaves during a response: the backend's connection goes too."""
    app = stage.app()
    proxy = stage.proxy(app.address)
    client = stage.client(proxy)
    client.send_head("GET", "/drip?n=1000&s=0.01")
    assert client.head().status == 200
    client.some()
    client.reset()
    [line] = proxy.wait_access(path="/drip?n=1000&s=0.01")
    assert line["reason"]
    eventually(lambda: app.state()["open"] <= 2, "the backend's connection is gone (left: this question, perhaps a check)")


def test_in_the_middle_of_an_upload(stage: Stage) -> None:
    """A client that leaves during its upload: the backend does not take half a body for a whole one."""
    app = stage.app()
    proxy = stage.proxy(app.address)
    client = stage.client(proxy)
    client.send_head("POST", "/echo", length=1_000_000)
    client.send(b"x" * 100_000)
    eventually(lambda: app.state()["requests"] >= 2, "the backend has the head")
    client.reset()
    proxy.wait_access(status=499)
    eventually(lambda: app.state()["open"] <= 2, "the backend's connection is gone")
