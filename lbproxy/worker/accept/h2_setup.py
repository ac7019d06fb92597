"""HTTP/2 on a listener: who speaks it, what each connection may do, and what is counted of it."""

from __future__ import annotations

import base64
import os
from collections.abc import Callable

from lbproxy.balance.ledger import Scalar, scalar_at
from lbproxy.config.model import LimitsConfig
from lbproxy.errors import StreamError
from lbproxy.http.forwarding import Forwarder
from lbproxy.http.h2.bounds import LARGEST_FRAME, USUAL, Bounds
from lbproxy.http.h2.response_fields import ResponseFields
from lbproxy.http.h2.vocabulary import PREFACE, Failure
from lbproxy.http.h2.windows import FIRST_OF_CLIENTS
from lbproxy.ipc.handover import Handover
from lbproxy.observe.log import Noisy
from lbproxy.observe.metrics import H2_ENDS
from lbproxy.proxy.client import ConnectionCount
from lbproxy.proxy.h2.connection import H2Connection
from lbproxy.proxy.service import Service
from lbproxy.streams import HEAD_READ, Stream

_RESPONSE_FIELDS = ResponseFields()
"""Of the process: backends repeat themselves to all clients."""


def bounds(limits: LimitsConfig) -> Bounds:
    """What HTTP/1 would refuse with a status is refused so here as well: the engine's own limits, which end the connection, stand
    well above."""
    fields = 2 * limits.fields + 56
    size = max(64 * 1024, 2 * limits.head + 32 * fields)
    return Bounds(
        streams=limits.streams, list_size=size, list_count=max(256, fields), window=FIRST_OF_CLIENTS,
        continuations=max(USUAL.continuations, size // LARGEST_FRAME),
    )  # fmt: skip


class H2Setup:
    """What makes HTTP/2 connections of one listener's newcomers, in one worker."""

    def __init__(self, service: Service, handover: Handover, noisy: Noisy, port: int, redirect: int) -> None:
        self._service = service
        self._noisy = noisy
        self._port = port
        self._redirect = redirect
        self._bounds = bounds(service.config.limits)
        self._cells = handover.ledger.cells
        self._connections = scalar_at(handover.child, Scalar.H2_CONNECTIONS)
        self._ended = scalar_at(handover.child, Scalar.H2_ENDED)
        self._told = self._on_flood
        """One for all: each mention of a method makes another object, which an idle connection would keep."""

    def connect(self, stream: Stream, peer: str, forwarder: Forwarder, tls_seconds: float, count: ConnectionCount) -> H2Connection:
        """A client that speaks it."""
        self._cells[self._connections] += 1
        return H2Connection(
            self._service, stream, peer, forwarder, self._redirect, tls_seconds, count, self._bounds, _RESPONSE_FIELDS,
            websocket_key, self._told,
        )  # fmt: skip

    def _on_flood(self, peer: str, failure: Failure) -> None:
        kind = H2_ENDS.index(failure.reason) if failure.reason in H2_ENDS else len(H2_ENDS) - 1
        self._cells[self._ended + kind] += 1
        self._noisy.info("h2.ended", client=peer, port=self._port, reason=failure.reason)


def websocket_key() -> bytes:
    """RFC 6455 4.1: 16 random bytes, which an answer has to prove that it has read."""
    return base64.b64encode(os.urandom(16))


class PriorKnowledge:
    """A client of a plain listener that may speak either: its first bytes tell (RFC 9113 3.3). Owner of its stream until then."""

    def __init__(
        self, service: Service, stream: Stream, count: ConnectionCount, choose: Callable[[bool, bytes], None], data: bytes = b""
    ) -> None:
        """`choose`: told whether it is HTTP/2, and what it has said already; from a greenlet of its own, in which it may serve.
        `data`: what was read already; then `read` comes next."""
        self._service = service
        self._stream = stream
        self._count = count
        self._choose = choose
        self._data = data
        stream.owner = self
        stream.deadline = service.clock() + service.config.timeouts.request_head

    def on_readable(self) -> None:
        """See StreamOwner."""
        self._stream.owner = None
        self._service.strands.start(self.read)

    def on_expired(self) -> None:
        """See StreamOwner."""
        self._stream.owner = None
        self._count.release()
        self._stream.finish()

    def read(self) -> None:
        """In a greenlet: until it is known."""
        self._stream.owner = None
        data = self._data
        try:
            while len(data) < len(PREFACE) and PREFACE.startswith(data):
                more = self._stream.read(HEAD_READ)
                if not more:
                    break
                data += more
        except StreamError:
            data = b""
        except Exception as error:
            self._service.on_fault(error)
            data = b""
        if data:
            self._choose(data.startswith(PREFACE), data)
        else:
            self._count.release()
            self._stream.abort()
