"""PROXY headers of a listener's newcomers: whose are read, how long they are waited for, what is counted of those who have none.

The peer is known before a byte is read: whoever is not among the networks that are listed may not say who he is, and is closed at
once. The others have a deadline of their own, which is short: a proxy sends the header with its first segment.
"""

from __future__ import annotations

import socket
import time
from collections.abc import Callable
from typing import NamedTuple

from lbproxy.balance.ledger import Ledger, Scalar, scalar_at
from lbproxy.config.model import Network
from lbproxy.errors import ConnectionLost, StreamError, TimedOut
from lbproxy.filter.addresses import NetworkSet, parse_client
from lbproxy.net.deadlines import Deadlines
from lbproxy.net.first_stream import FirstStream
from lbproxy.prelude.bad import BadHeader
from lbproxy.prelude.proxy_header import ProxyHeader, parse
from lbproxy.streams import HEAD_READ

Refuse = Callable[[str, str], None]
"""Told of a peer that is turned away, and why."""


class AnnouncedNewcomer(NamedTuple):
    """A newcomer whose header has come."""

    stream: FirstStream
    header: ProxyHeader
    data: bytes
    """What came behind the header already."""


class ProxyHeaders:
    """What reads the PROXY headers of one listener's newcomers, in one worker."""

    def __init__(
        self,
        networks: tuple[Network, ...],
        patience: float,
        write_stall: float,
        deadlines: Deadlines,
        ledger: Ledger,
        child: int,
        refuse: Refuse,
    ) -> None:
        """`networks`: whose headers are believed; `patience`: seconds for a whole one."""
        self._networks = NetworkSet(networks)
        self._patience = patience
        self._write_stall = write_stall
        self._deadlines = deadlines
        self._cells = ledger.cells
        self._child = child
        self._refuse = refuse

    def expects(self, peer: str) -> bool:
        """Whether that peer may say who its client is; who may not is counted."""
        if parse_client(peer) in self._networks:
            return True
        self._refused(peer, "proxy_stranger", Scalar.PROXY_STRANGERS)
        return False

    def read(self, sock: socket.socket, peer: str) -> AnnouncedNewcomer | None:
        """In the connection's greenlet: wait for the header; None: there is none, and the socket is closed."""
        stream = FirstStream(sock, self._deadlines, self._write_stall)
        stream.deadline = time.monotonic() + self._patience
        stream.patient = True
        data = b""
        try:
            while (found := parse(data)) is None:
                more = stream.read(HEAD_READ)
                if not more:
                    raise ConnectionLost("closed before a whole header")
                data += more
        except TimedOut:
            self._refused(peer, "proxy_header_timeout", Scalar.PROXY_TIMEOUTS)
        except BadHeader as error:
            self._refused(peer, str(error), Scalar.PROXY_HEADERS)
        except StreamError:
            if data:
                self._refused(peer, "proxy_header_lost", Scalar.PROXY_HEADERS)
            else:  # somebody looked whether the port is open, as balancers do each second: no event
                self._cells[scalar_at(self._child, Scalar.SILENT)] += 1
        else:
            stream.patient = False
            return AnnouncedNewcomer(stream, found[0], data[found[1] :])
        stream.abort()
        return None

    def _refused(self, peer: str, reason: str, kind: Scalar) -> None:
        self._cells[scalar_at(self._child, kind)] += 1
        self._refuse(peer, reason)
