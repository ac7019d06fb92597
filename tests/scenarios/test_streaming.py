"""Responses that go on for long: server-sent events and long polls pass at once, piece by piece, and end when their client goes."""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from tests.conftest import Stage
from tests.support.backends import Conversation, Scripted
from tests.support.ports import free_port
from tests.support.process import LbProxy
from tests.support.shared import LedgerView
from tests.support.waiting import PATIENCE, eventually
from tests.support.wire import Client

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nCache-Control: no-cache\r\n"
EVENTS = [b"data: %d\n\n" % number for number in range(50)]


class Source:
    """A backend that says what it is told to, when it is told to."""

    def __init__(self) -> None:
        self.say: queue.Queue[bytes | None] = queue.Queue()
        self.gone = threading.Event()

    def script(self, conversation: Conversation) -> None:
        """One request."""
        conversation.read_head()
        while (piece := self.say.get(timeout=PATIENCE)) is not None:
            conversation.send(piece)
        conversation.wait_close()
        self.gone.set()


@contextmanager
def events(stage: Stage, tls: bool) -> Iterator[tuple[Source, LbProxy, Client]]:
    """A source, and a client that has asked."""
    source = Source()
    with Scripted(source.script) as backend:
        config = stage.config(backend.address, app={"health": {"type": "off"}})
        if not tls:
            config["listen"] = [{"address": f"127.0.0.1:{free_port()}"}]
        proxy = stage.run(config)
        client = stage.client(proxy, tls=tls)
        client.send_head("GET", "/events", [("Accept", "text/event-stream")])
        yield source, proxy, client


def chunk(data: bytes) -> bytes:
    """As one chunk."""
    return b"%x\r\n%b\r\n" % (len(data), data)


@pytest.mark.parametrize(("tls", "chunked"), [(True, True), (False, False)], ids=["tls, chunked", "plain, until close"])
def test_each_event_is_seen_before_the_next_is_sent(stage: Stage, tls: bool, chunked: bool) -> None:
    """Nothing is held back: not the head before the first event, and no event for company."""
    with events(stage, tls) as (source, proxy, client):
        source.say.put(HEAD + (b"Transfer-Encoding: chunked\r\n\r\n" if chunked else b"\r\n"))
        head = client.head()
        assert (head.status, head.get("content-type"), head.get("transfer-encoding")) == (200, "text/event-stream", "chunked")
        for event in EVENTS:
            source.say.put(chunk(event) if chunked else event)
            assert client.some() == chunk(event)
        assert proxy.access() == [], "not before it ends"
        client.close()
        source.say.put(None)
        assert source.gone.wait(PATIENCE), "the backend is told that nobody listens any more"
        [line] = proxy.wait_access(path="/events")
        assert (line["status"], line["reason"]) == (499, "client_closed")
        with LedgerView(proxy.pid) as view:
            eventually(lambda: view.in_flight(1) == [0] and not view.verify(), "clean books")


def test_a_long_poll(stage: Stage) -> None:
    """The answer comes when there is one; until then others are served by the same worker, and then the connection goes on."""
    app = stage.app()
    proxy = stage.proxy(app.address)
    waiting = stage.client(proxy)
    waiting.send_head("GET", "/hold")
    eventually(lambda: app.held() == 1, "it waits")
    with stage.client(proxy) as other:
        for _ in range(20):
            assert other.request("GET", "/echo").status == 200
    app.release()
    assert waiting.response().body == b"released\n"
    assert waiting.request("GET", "/echo").status == 200
