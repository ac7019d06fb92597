"""What a bad backend does is told to the client as it is: a 502 or 504 before the first byte, a visible truncation after it."""

from __future__ import annotations

import pytest

from tests.conftest import Stage
from tests.support.backends import Conversation, Scripted
from tests.support.process import LbProxy
from tests.support.waiting import eventually
from tests.support.wire import Truncated


def test_reset_before_the_response(stage: Stage) -> None:
    """A reset instead of a response is a 502, and a POST is not sent twice."""
    app = stage.app()
    proxy = stage.proxy(app.address)
    client = stage.client(proxy)
    response = client.request("POST", "/reset", body=b"once")
    assert response.status == 502
    [line] = proxy.wait_access(status=502)
    assert line["tries"] == 1
    assert client.request("GET", "/echo").status == 200, "the client's connection goes on"


def test_garbage_is_a_502(stage: Stage, proxy: LbProxy) -> None:
    """Bytes that are not HTTP do not reach the client."""
    response = stage.client(proxy).request("GET", "/garbage")
    assert response.status == 502
    assert b"\x16" not in response.body


@pytest.mark.parametrize("target", ["/truncate", "/truncate?chunked=1", "/reset?after=head"])
def test_truncation_shows(stage: Stage, proxy: LbProxy, target: str) -> None:
    """A body that ends too early never looks complete, and the access log tells why."""
    client = stage.client(proxy)
    client.send_head("GET", target)
    with pytest.raises((Truncated, OSError)):
        client.response()
    [line] = proxy.wait_access(status=200, path=target)
    assert line["reason"]


def test_silent_backend_is_a_504(stage: Stage) -> None:
    """No response head within response_head: 504, and the backend's work is cancelled."""
    app = stage.app()
    proxy = stage.proxy(app.address, timeouts={"response_head": "300ms"})
    client = stage.client(proxy)
    response = client.request("POST", "/hold", body=b"")
    assert response.status == 504
    eventually(lambda: app.state().get("aborted") == 1, "the backend's work cancelled")
    assert client.request("GET", "/echo").status == 200


AMBIGUOUS = [
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n",
    b"HTTP/1.1 200 OK\r\nContent-Length: 5\r\nContent-Length: 6\r\n\r\nhello!",
    b"HTTP/1.1 200 OK\r\nContent-Length: +5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nX: y\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nBad Name: x\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 200 OK\r\nX: a\x00b\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 20 OK\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/2.0 200 OK\r\nContent-Length: 5\r\n\r\nhello",
]


def test_ambiguous_responses_are_502(stage: Stage) -> None:
    """A response that two parsers could read in two ways is refused, never repaired."""
    answers = list(AMBIGUOUS)

    def script(conversation: Conversation) -> None:
        conversation.read_head()
        conversation.send(answers.pop(0))
        conversation.wait_close()

    with Scripted(script) as backend:
        proxy = stage.proxy(backend.address, app={"health": {"type": "off"}})
        client = stage.client(proxy)
        for answer in AMBIGUOUS:
            assert client.request("POST", "/", body=b"").status == 502, answer
    assert not answers


def test_bytes_after_a_response_are_nobodys(stage: Stage) -> None:
    """What a backend sends beyond its response must not become the next client's response."""

    def script(conversation: Conversation) -> None:
        while True:
            conversation.read_head()
            conversation.send(b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nokHTTP/1.1 200 OK\r\nContent-Length: 6\r\n\r\nstolen")

    with Scripted(script) as backend:
        proxy = stage.proxy(backend.address)
        client = stage.client(proxy)
        for _ in range(5):
            assert client.request("GET", "/").body == b"ok"
