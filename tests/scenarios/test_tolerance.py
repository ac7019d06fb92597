"""A device that ends its lines with LF alone, which cannot be mended, behind a pool that says so, and behind one that does not."""

from __future__ import annotations

import pytest

from tests.conftest import Stage
from tests.support.backends import Conversation, Scripted
from tests.support.ports import free_port

PLAIN = b"HTTP/1.1 200 OK\nServer: meter/1\nX-Reading: 7\nContent-Length: 8\n\n\r\n\r\na\n\nb"
CHUNKED = b"HTTP/1.1 200 OK\nTransfer-Encoding: chunked\n\n3\nabc\n2\nde\n0\n\n"
UNTIL_CLOSE = b"HTTP/1.0 200\nContent-Type: text/plain\n\nall of it"
ODD = b"HTTP/1.1 799 Asleep\nContent-Length: 4\n\nzzzz"
ANSWERS = {
    "/plain": (PLAIN, 200, b"\r\n\r\na\n\nb"),
    "/chunked": (CHUNKED, 200, b"abcde"),
    "/close": (UNTIL_CLOSE, 200, b"all of it"),
    "/odd": (ODD, 799, b"zzzz"),
}


def device(conversation: Conversation) -> None:
    """One request a connection, and then silence: whether it is used again is for the proxy to know better."""
    path = conversation.read_head().split(b" ")[1].decode()
    conversation.send(ANSWERS[path][0])
    if path != "/close":
        conversation.read_head()


@pytest.mark.parametrize("tls", [True, False], ids=["tls", "plain"])
def test_a_device_that_speaks_so(stage: Stage, tls: bool) -> None:
    """Its checks pass, whose body is looked into, and its answers arrive clean, again and again."""
    health = {"type": "http", "path": "/chunked", "body": "cde", "interval": "200ms", "rise": 1}
    with Scripted(device) as backend:
        config = stage.config(backend.address, app={"health": health, "tolerate": ["bare_lf", "high_status"]})
        if not tls:
            config["listen"] = [{"address": f"127.0.0.1:{free_port()}"}]
        proxy = stage.run(config)
        with stage.client(proxy, tls=tls) as client:
            for path, (_, status, body) in list(ANSWERS.items()) * 3:
                answer = client.request("GET", path)
                assert (answer.status, answer.body) == (status, body)
        said = [(line["status"], line["tries"]) for line in proxy.wait_access(count=12)]
        assert said == [(status, 1) for _, status, _ in ANSWERS.values()] * 3
