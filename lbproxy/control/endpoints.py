"""/metrics, /livez, /readyz, /status.json and the status page, on the metrics socket.

A responder of its own, tiny and strict, because a monitoring port is asked by scrapers, browsers and scanners alike: GET and HEAD
only, no body, one request per connection, a small head, one deadline for everything, few connections at a time. Nothing here
changes anything.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable
from http import HTTPStatus
from typing import NamedTuple

import gevent
import gevent.socket
from gevent.pool import Pool
from gevent.server import StreamServer

from lbproxy.balance.places import in_order
from lbproxy.control.page import page
from lbproxy.http.date import date_line
from lbproxy.ipc.handover import Handover
from lbproxy.observe.metrics import CONTENT_TYPE, Snapshot, exposition, status
from lbproxy.observe.snapshot import snapshot

MAX_HEAD = 8 * 1024
MAX_CONNECTIONS = 32
"""At a time; the kernel's backlog holds the others."""
DEADLINE = 5.0
"""Seconds for a connection, from accept to the last byte: shorter than any scraper's own."""

# RFC 9112 section 3, origin-form only.
_REQUEST_LINE = re.compile(rb"([A-Z]{1,16}) (/[!-~]{0,1023}) HTTP/1\.[01]\r\n")

TEXT = "text/plain; charset=utf-8"
HEADERS = (
    "Cache-Control: no-store\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'\r\n"
    "Connection: close\r\n"
)


class Answer(NamedTuple):
    status: HTTPStatus
    kind: str
    body: str
    extra: str = ""
    """More header lines, each with its line end."""


class Endpoints:
    """Serves on the handover's metrics socket from `start` to `stop`; `stop` closes our descriptor, not the master's."""

    def __init__(self, handover: Handover) -> None:
        listening = handover.metrics_socket
        if listening is None:
            raise ValueError("no metrics socket was handed over")
        self._ledger = handover.ledger
        self._generation = handover.generation
        self._handover = handover
        self._started = time.time()
        socket = gevent.socket.socket(listening.family, listening.type, listening.proto, fileno=listening.detach())
        self._server = StreamServer(socket, self._serve, spawn=Pool(MAX_CONNECTIONS))

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        self._server.stop(timeout=0)

    def _serve(self, sock: gevent.socket.socket, _peer: object) -> None:
        try:
            with gevent.Timeout(DEADLINE, False):  # type: ignore[arg-type]  # documented: False ends the block
                head = _read_head(sock)
                if head is not None:
                    sock.sendall(self._respond(head))
                    _finish(sock)
        except OSError:
            pass  # the peer hung up; there is nobody to tell
        finally:
            sock.close()

    def _respond(self, head: bytes) -> bytes:
        method, path = parse(head)
        if not path:
            return render(Answer(HTTPStatus.BAD_REQUEST, TEXT, "bad request\n"), True)
        if method not in ("GET", "HEAD"):
            return render(Answer(HTTPStatus.METHOD_NOT_ALLOWED, TEXT, "only GET and HEAD\n", "Allow: GET, HEAD\r\n"), True)
        endpoint = ENDPOINTS.get(path)
        if endpoint is None:
            return render(Answer(HTTPStatus.NOT_FOUND, TEXT, "".join(f"{known}\n" for known in ENDPOINTS)), method == "GET")
        return render(endpoint(self._snapshot()), method == "GET")

    def _snapshot(self) -> Snapshot:
        inherited = self._handover  # and kept up to date, as names get other addresses
        backends = in_order(inherited.config, inherited.backends)
        return snapshot(self._ledger, backends, generation=self._generation, started=self._started, now=time.time())


# ---------------------------------------------------------------- what each path says


def _metrics(now: Snapshot) -> Answer:
    return Answer(HTTPStatus.OK, CONTENT_TYPE, exposition(now))


def _livez(_now: Snapshot) -> Answer:
    return Answer(HTTPStatus.OK, TEXT, "alive\n")  # that it comes at all is the message


def _readyz(now: Snapshot) -> Answer:
    unready = now.unready()
    if unready:
        return Answer(HTTPStatus.SERVICE_UNAVAILABLE, TEXT, "".join(f"pool {name} has no usable backend\n" for name in unready))
    return Answer(HTTPStatus.OK, TEXT, "ready\n")


def _status(now: Snapshot) -> Answer:
    return Answer(HTTPStatus.OK, "application/json", json.dumps(status(now), indent=2) + "\n")


def _page(now: Snapshot) -> Answer:
    return Answer(HTTPStatus.OK, "text/html; charset=utf-8", page(now))


ENDPOINTS: dict[str, Callable[[Snapshot], Answer]] = {
    "/": _page,
    "/metrics": _metrics,
    "/livez": _livez,
    "/readyz": _readyz,
    "/status.json": _status,
}


# ---------------------------------------------------------------- bytes


def parse(head: bytes) -> tuple[str, str]:
    """Method and path (without query) of a request head, the path empty when the head is none. Header fields do not matter here: no
    body is ever read, and every answer closes."""
    line = _REQUEST_LINE.match(head)
    if line is None:
        return "", ""
    return line[1].decode("ascii"), line[2].decode("ascii").partition("?")[0]


def render(answer: Answer, with_body: bool) -> bytes:
    """The response as bytes; HEAD gets the same head without the body."""
    body = answer.body.encode()
    date = date_line(int(time.time())).decode("ascii")
    head = (
        f"HTTP/1.1 {answer.status.value} {answer.status.phrase}{date}\r\n"
        f"Content-Type: {answer.kind}\r\nContent-Length: {len(body)}\r\n{answer.extra}{HEADERS}\r\n"
    )
    return head.encode("ascii") + (body if with_body else b"")


def _read_head(sock: gevent.socket.socket) -> bytes | None:
    """Up to the empty line, or as much as is enough to refuse it; None when the peer hung up before."""
    head = b""
    while b"\r\n\r\n" not in head and len(head) < MAX_HEAD:
        data = sock.recv(MAX_HEAD - len(head))
        if not data:
            return None
        head += data
    return head if b"\r\n\r\n" in head else b""


def _finish(sock: gevent.socket.socket) -> None:
    """Say that we are done and wait for the peer to be: closing with unread bytes would reset what we have sent."""
    sock.shutdown(gevent.socket.SHUT_WR)
    while sock.recv(MAX_HEAD):
        pass
