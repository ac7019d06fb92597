"""1xx responses from backends reach the client before the final one, and 100-continue keeps its meaning."""

from __future__ import annotations

import json

from tests.conftest import Stage
from tests.support.process import LbProxy
from tests.support.wire import Response


def test_early_hints(stage: Stage, proxy: LbProxy) -> None:
    """103 with its fields, then the 200."""
    client = stage.client(proxy)
    for _ in range(2):
        hints: list[Response] = []
        client.send_head("GET", "/hints")
        response = client.response(interim=hints)
        assert [(hint.status, hint.get("link")) for hint in hints] == [(103, "</style.css>; rel=preload")]
        assert (response.status, response.body) == (200, b"hinted\n")


def test_continue(stage: Stage, proxy: LbProxy) -> None:
    """A client that waits for 100 Continue gets it before it sent a byte of its body."""
    client = stage.client(proxy)
    client.send_head("POST", "/echo", [("Expect", "100-continue")], length=6)
    assert client.interim().status == 100
    client.send(b"banana")
    assert json.loads(client.response("POST").body)["length"] == 6
    assert client.request("GET", "/echo").status == 200


def test_refused_before_the_body(stage: Stage, proxy: LbProxy) -> None:
    """A backend that refuses instead of saying 100: the client hears it without having sent its body."""
    client = stage.client(proxy)
    client.send_head("POST", "/refuse", [("Expect", "100-continue")], length=100_000)
    interim: list[Response] = []
    response = client.response("POST", interim=interim)
    assert response.status == 417


def test_old_clients_get_no_1xx(stage: Stage, proxy: LbProxy) -> None:
    """HTTP/1.0 knows no interim responses."""
    client = stage.client(proxy)
    client.send(b"GET /hints HTTP/1.0\r\nHost: localhost\r\n\r\n")
    hints: list[Response] = []
    assert client.response(interim=hints).status == 200
    assert not hints
