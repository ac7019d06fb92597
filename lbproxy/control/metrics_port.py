"""The metrics port: /metrics, /livez, /readyz, /status.json and the status page.

A responder of its own, tiny and strict, because a monitoring port is asked by scrapers, browsers and scanners alike: GET and HEAD
only, no body, one request per connection, a small head, one deadline for everything, few connections at a time, of which the oldest
silent ones give way (visitors.py). Nothing here changes anything.

A browser behind the firewall can be sent here by anybody's page whose name suddenly means our address ("DNS rebinding"). What such
a browser says as Host is that name. So names are answered only if they are configured; addresses and localhost cannot be had so.

An answer that is costly to make is given again for ten times as long as that took, and few connections are taken in at once: who
asks without end makes the health checks beside him wait for milliseconds, no more.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Collection
from http import HTTPStatus
from ipaddress import ip_address
from typing import NamedTuple, cast

import gevent
import gevent.socket
from gevent.server import StreamServer

from lbproxy.balance.endpoints import in_order
from lbproxy.control.page import page
from lbproxy.control.visitors import Visitors, VisitorStage
from lbproxy.http.date import date_line
from lbproxy.http.grammar import HOST
from lbproxy.ipc.handover import Handover
from lbproxy.observe.metrics import (
    CONTENT_TYPE,
    AcmeFacts,
    CertificateFacts,
    KeyFacts,
    KeySetFacts,
    Snapshot,
    exposition,
    status,
)
from lbproxy.observe.snapshot import snapshot
from lbproxy.observe.tap_facts import TapFacts

MAX_HEAD = 8 * 1024
AT_ONCE = 8
"""Connections that are accepted in one turn of the loop."""
COSTLY = 0.005
"""Seconds of CPU that an answer takes which is worth keeping; those of a dozen pools take one."""
SHARE = 10
"""Times what a costly one took, until it is made anew."""

# RFC 9112 section 3, origin-form only.
_REQUEST_LINE = re.compile(rb"([A-Z]{1,16}) (/[!-~]{0,1023}) HTTP/1\.([01])\r\n")
_HOST_FIELD = re.compile(rb"(?i)\r\nhost:[ \t]*+([^\r\n]*+)")

TEXT = "text/plain; charset=utf-8"
HEADERS = (
    "Cache-Control: no-store\r\n"
    "X-Content-Type-Options: nosniff\r\n"
    "Content-Security-Policy: default-src 'none'; style-src 'unsafe-inline'\r\n"
    "Connection: close\r\n"
)


class MetricsAnswer(NamedTuple):
    status: HTTPStatus
    kind: str
    body: str
    extra: str = ""
    """More header lines, each with its line end."""


class Made(NamedTuple):
    """An answer, and until when it is given again."""

    answer: MetricsAnswer
    until: float


class ScrapeRequest(NamedTuple):
    method: str
    path: str
    """Without query."""
    host: str
    """In lower case, without port; "" when nothing was said."""


class MetricsPort:
    """Serves on the handover's metrics socket from `start` to `stop`; `stop` closes our descriptor, not the master's."""

    def __init__(self, handover: Handover) -> None:
        listening = handover.metrics_socket
        if listening is None:
            raise ValueError("no metrics socket was handed over")
        self._ledger = handover.ledger
        self._generation = handover.generation
        self._handover = handover
        self._started = time.time()
        metrics = handover.config.metrics
        self._names = metrics.hosts
        self._timeout = metrics.timeout
        self._visitors: Visitors[gevent.Greenlet[..., object]] = Visitors(metrics.connections)
        self._made: dict[str, Made] = {}
        self.certificates: tuple[CertificateFacts, ...] = ()
        self.acme: dict[str, AcmeFacts] = {}
        self.key_work: KeyFacts | None = None
        self.key_sets: dict[str, KeySetFacts] = {}
        self.taps: dict[tuple[str, str], TapFacts] = {}
        socket = gevent.socket.socket(listening.family, listening.type, listening.proto, fileno=listening.detach())
        self._server = StreamServer(socket, self._serve)
        self._server.max_accept = AT_ONCE

    def start(self) -> None:
        self._server.start()

    def stop(self) -> None:
        self._server.stop()
        for task in self._visitors.tasks():
            task.kill(block=False)

    def _serve(self, sock: gevent.socket.socket, _peer: object) -> None:
        visitor, gives_way = self._visitors.enter(cast("gevent.Greenlet[..., object]", gevent.getcurrent()))
        if gives_way is not None:
            gives_way.kill(block=False)
        try:
            with gevent.Timeout(self._timeout, False):  # type: ignore[arg-type]  # documented: False ends the block
                head = _read_head(sock)
                if head is not None:
                    visitor.stage = VisitorStage.ASKING
                    sock.sendall(self._respond(head))
                    visitor.stage = VisitorStage.ANSWERED
                    _finish(sock)
        except OSError:
            pass  # the peer hung up; there is nobody to tell
        finally:
            self._visitors.leave(visitor)
            sock.close()

    def _respond(self, head: bytes) -> bytes:
        asked = parse(head)
        if asked is None:
            return render(MetricsAnswer(HTTPStatus.BAD_REQUEST, TEXT, "bad request\n"), True)
        if not may_ask(asked.host, self._names):
            return render(MetricsAnswer(HTTPStatus.MISDIRECTED_REQUEST, TEXT, f"{asked.host} is none of [metrics] hosts\n"), True)
        if asked.method not in ("GET", "HEAD"):
            return render(MetricsAnswer(HTTPStatus.METHOD_NOT_ALLOWED, TEXT, "only GET and HEAD\n", "Allow: GET, HEAD\r\n"), True)
        if asked.path not in PAGES:
            return render(
                MetricsAnswer(HTTPStatus.NOT_FOUND, TEXT, "".join(f"{known}\n" for known in PAGES)), asked.method == "GET"
            )
        return render(self._answer(asked.path), asked.method == "GET")

    def _answer(self, path: str) -> MetricsAnswer:
        made = self._made.get(path)
        if made is not None and time.monotonic() < made.until:
            return made.answer
        begun = time.thread_time()
        answer = PAGES[path](self._snapshot())
        took = time.thread_time() - begun
        if took >= COSTLY:
            self._made[path] = Made(answer, time.monotonic() + SHARE * took)
        return answer

    def _snapshot(self) -> Snapshot:
        inherited = self._handover  # and kept up to date, as names get other addresses
        backends = in_order(inherited.config, inherited.backends)
        now = snapshot(self._ledger, backends, generation=self._generation, started=self._started, now=time.time())
        told, taps = tuple(self.key_sets.values()), tuple(self.taps.values())
        now = now._replace(certificates=self.certificates, acme=tuple(self.acme.values()), keys=self.key_work)
        return now._replace(key_sets=told, taps=taps)


# ---------------------------------------------------------------- what each path says


def _metrics(now: Snapshot) -> MetricsAnswer:
    return MetricsAnswer(HTTPStatus.OK, CONTENT_TYPE, exposition(now))


def _livez(_now: Snapshot) -> MetricsAnswer:
    return MetricsAnswer(HTTPStatus.OK, TEXT, "alive\n")  # that it comes at all is the message


def _readyz(now: Snapshot) -> MetricsAnswer:
    unready = now.unready()
    if unready:
        return MetricsAnswer(
            HTTPStatus.SERVICE_UNAVAILABLE, TEXT, "".join(f"pool {name} has no usable backend\n" for name in unready)
        )
    # No reason to send nobody: who asks may decide about traffic by it, and an authority's question is traffic.
    waiting = [f"{one.name} has a self-signed certificate: its first one is on its way\n" for one in now.acme if one.self_signed]
    return MetricsAnswer(HTTPStatus.OK, TEXT, "ready\n" + "".join(waiting))


def _status(now: Snapshot) -> MetricsAnswer:
    return MetricsAnswer(HTTPStatus.OK, "application/json", json.dumps(status(now), indent=2) + "\n")


def _page(now: Snapshot) -> MetricsAnswer:
    return MetricsAnswer(HTTPStatus.OK, "text/html; charset=utf-8", page(now))


PAGES: dict[str, Callable[[Snapshot], MetricsAnswer]] = {
    "/": _page,
    "/metrics": _metrics,
    "/livez": _livez,
    "/readyz": _readyz,
    "/status.json": _status,
}


# ---------------------------------------------------------------- bytes


def parse(head: bytes) -> ScrapeRequest | None:
    """What a head asks for; None when it is none. Other header fields than Host do not matter here: no body is ever read, and every
    answer closes. A Host may be missing in HTTP/1.0 alone (RFC 9112 3.2)."""
    line = _REQUEST_LINE.match(head)
    hosts = _HOST_FIELD.findall(head)
    if line is None or len(hosts) > 1 or (not hosts and line[3] == b"1"):
        return None
    host = HOST.match(hosts[0].rstrip(b" \t").lower()) if hosts else None
    if hosts and host is None:
        return None
    said = "" if host is None else host[1].decode("ascii").removesuffix(".")
    return ScrapeRequest(line[1].decode("ascii"), line[2].decode("ascii").partition("?")[0], said)


def may_ask(host: str, names: Collection[str]) -> bool:
    """Whether whoever calls us that is answered: by an address, as localhost, by one of these names, or not at all."""
    if host in ("", "localhost") or host in names or host.endswith(".localhost"):  # RFC 6761 6.3
        return True
    try:
        ip_address(host.removeprefix("[").removesuffix("]"))
    except ValueError:
        _, dot, parent = host.partition(".")
        return bool(dot) and f"*.{parent}" in names
    return True


def render(answer: MetricsAnswer, with_body: bool) -> bytes:
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
