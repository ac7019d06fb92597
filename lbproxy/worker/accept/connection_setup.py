"""The set-up of a connection, from an accepted socket to a client connection that serves itself: filter, handshake, facts about it.

The handshake runs in the connection's own greenlet with a deadline; whoever speaks plain HTTP to a TLS port is told so in plain
HTTP.
"""

from __future__ import annotations

import socket
import ssl
import time
from collections.abc import Callable
from functools import partial

from lbproxy.balance.ledger import Scalar, scalar_at
from lbproxy.config.model.acme import TLS_ALPN
from lbproxy.errors import HandshakeFailed, StreamError, TimedOut
from lbproxy.http.forwarding import Forwarder
from lbproxy.http.tls_facts import TlsFacts
from lbproxy.ipc.handover import BoundListener, Handover
from lbproxy.net.deadlines import Deadlines
from lbproxy.net.ends import ends_of
from lbproxy.net.first_stream import FirstStream
from lbproxy.net.tcp_stream import TcpStream
from lbproxy.net.tls_stream import SaidNothing, TlsStream
from lbproxy.net.wire import alpn_choice
from lbproxy.observe.log import Noisy
from lbproxy.prelude.proxy_header import NOBODY, ProxyHeader
from lbproxy.proxy.announced import AnnouncedUpstreams
from lbproxy.proxy.client import ClientConnection, ConnectionCount
from lbproxy.proxy.downstream import CHALLENGES, NO_REDIRECT
from lbproxy.proxy.passed import PassedConnection
from lbproxy.proxy.replies import reply
from lbproxy.proxy.service import Service
from lbproxy.tls.alpn import insist
from lbproxy.tls.challenge_hello import ACME_TLS
from lbproxy.tls.contexts import offered
from lbproxy.worker.accept.connection_filter import AnnouncedConnection, ConnectionFilter, Denied
from lbproxy.worker.accept.connection_limit import ConnectionLimit
from lbproxy.worker.accept.h2_setup import H2Setup, PriorKnowledge
from lbproxy.worker.accept.handshakes import kind_of, why
from lbproxy.worker.accept.hellos import decline, read_hello
from lbproxy.worker.accept.proxy_headers import ProxyHeaders
from lbproxy.worker.wiring.passages import Passages


class ConnectionSetup:
    """What makes one listener's newcomers into client connections, in one worker."""

    def __init__(
        self,
        bound: BoundListener,
        service: Service,
        deadlines: Deadlines,
        handover: Handover,
        noisy: Noisy,
        limit: ConnectionLimit,
        connection_filter: ConnectionFilter | None = None,
        passages: Passages | None = None,
    ) -> None:
        """`connection_filter`: asked before anything else; None: everybody may come. `passages`: of those who are not decrypted;
        None: nobody."""
        self._context = bound.context
        self._shows = bound.shows
        if bound.shows is not None:
            bound.shows.on_fault = lambda why: noisy.warning("certificate.unusable", listener=str(bound.listen.address), why=why)
        self._limit = limit
        self._filter = connection_filter
        # A Unix socket has no port: what its clients' clients use is the scheme's, as far as anybody knows.
        self._port = bound.listen.address.port or (80 if bound.context is None and passages is None else 443)
        acme = handover.config.acme
        asked = CHALLENGES if acme is not None and bound.context is None else NO_REDIRECT
        self._redirect = bound.listen.redirect_port if bound.listen.redirect_to_https else asked
        self._proves = acme is not None and acme.challenge == TLS_ALPN
        self._service = service
        self._deadlines = deadlines
        self._noisy = noisy
        self._networks = handover.config.proxy.trusted_proxies
        self._timeouts = handover.config.timeouts
        self._child = child = handover.child
        self._cells = handover.ledger.cells
        self._accepted = scalar_at(child, Scalar.ACCEPTED)
        self._handshakes = scalar_at(child, Scalar.HANDSHAKES)
        self._resumed = scalar_at(child, Scalar.RESUMED)
        self._failures = scalar_at(child, Scalar.HANDSHAKE_FAILURES)
        self._headers = self._proxy_headers(bound, handover) if bound.listen.proxy_protocol else None
        self._announces = any(pool.proxy_protocol for pool in handover.config.pools)
        """Backends are told of clients: connections get what these are told."""
        self._passages = passages
        self._looks = passages is not None or (bound.context is not None and self._announces)
        """Hellos are read before anybody answers them."""
        speaks = offered(bound.listen)
        if bound.context is not None:
            insist(bound.context, speaks, alpn_choice)
        if bound.shows is not None:
            bound.shows.on_made = lambda context: insist(context, speaks, alpn_choice)
        self._h1 = "http/1.1" in speaks
        self._h2 = H2Setup(service, handover, noisy, self._port, self._redirect) if "h2" in speaks else None

    def begin(self, sock: socket.socket, peer: str) -> None:
        """From the event loop: a connection was accepted and is counted; `sock` is non-blocking and ours."""
        self._cells[self._accepted] += 1
        if self._headers is not None:
            self._begin_announced(sock, peer, self._headers)
            return
        count = self._limit if self._filter is None else self._admitted(peer)
        if count is None:
            sock.close()
            return
        context = self._context
        if self._looks:
            self._service.strands.start(lambda: self._read_hello(self._first(sock), peer, count))
        elif context is None:
            stream = TcpStream(sock, self._deadlines, self._timeouts.write_stall)
            forwarder = Forwarder(peer, "http", self._port, self._networks, here=stream.local_address)
            self._await_first(stream, peer, forwarder, self._known(stream, forwarder, count))
        else:
            self._service.strands.start(lambda: self._shake_hands(sock, peer, context, count))

    def _admitted(self, peer: str) -> ConnectionCount | None:
        """What counts a newcomer; None: he is refused, and that is counted and told."""
        if self._filter is None:
            return self._limit
        found = self._filter.ask(peer)
        if not isinstance(found, Denied):
            return found
        self._refused(peer, found.reason)
        return None

    def _refused(self, peer: str, reason: str) -> None:
        self._noisy.info("connection.refused", client=peer, port=self._port, reason=reason)

    def _known(
        self, stream: TcpStream, forwarder: Forwarder, count: ConnectionCount, header: ProxyHeader = NOBODY, name: str = ""
    ) -> ConnectionCount:
        """What counts a client's connection, which has all that backends may have to be told of it from here on."""
        if not self._announces:
            return count
        forwarder.announced = announced = AnnouncedUpstreams(
            lambda: ends_of(stream, header), name or header.authority, stream.protocol()
        )
        return AnnouncedConnection(count, announced)

    def _first(self, sock: socket.socket) -> FirstStream:
        return FirstStream(sock, self._deadlines, self._timeouts.write_stall)

    # ---------------------------------------------------------------- behind a PROXY header

    def _proxy_headers(self, bound: BoundListener, handover: Handover) -> ProxyHeaders:
        """What this listener expects in front of everything else."""
        networks, times = bound.listen.proxy_protocol, self._timeouts
        return ProxyHeaders(
            networks, times.proxy_header, times.write_stall, self._deadlines, handover.ledger, self._child, self._refused
        )  # fmt: skip

    def _begin_announced(self, sock: socket.socket, peer: str, headers: ProxyHeaders) -> None:
        if headers.expects(peer):
            self._service.strands.start(lambda: self._read_header(sock, peer, headers))
        else:
            sock.close()
            self._limit.release()

    def _read_header(self, sock: socket.socket, peer: str, headers: ProxyHeaders) -> None:
        """In the connection's own greenlet. Whom the header names is the client from here on."""
        announced = headers.read(sock, peer)
        if announced is None:
            self._limit.release()
            return
        stream, header, data = announced
        client = header.source or peer
        count = self._admitted(client)
        if count is None:
            stream.abort()
        elif self._looks:
            self._read_hello(stream, client, count, data, header)
        elif self._context is not None:
            self._shake_hands(stream.hand_over(), client, self._context, count, data, header)
        else:
            told = header.tls
            forwarder = Forwarder(
                client, "http" if told is None else "https", self._port, self._networks,
                lambda: None if told is None else TlsFacts(told.version, told.cipher), _here(stream, header),
            )  # fmt: skip
            self._await_first(stream, client, forwarder, self._known(stream, forwarder, count, header), data)

    # ---------------------------------------------------------------- without TLS

    def _await_first(self, stream: TcpStream, peer: str, forwarder: Forwarder, count: ConnectionCount, data: bytes = b"") -> None:
        """Without TLS a client's first bytes tell what it speaks, where it has the choice. `data`: those that are here."""
        h2 = self._h2
        if h2 is not None and self._h1:

            def choose(is_h2: bool, data: bytes) -> None:
                connect = h2.connect if is_h2 else self._client
                connect(stream, peer, forwarder, 0.0, count).serve_after(data)

            known = PriorKnowledge(self._service, stream, count, choose, data)
            if data:
                known.read()
            return
        connect = self._client if h2 is None else h2.connect
        client = connect(stream, peer, forwarder, 0.0, count)
        if data:
            client.serve_after(data)
        else:
            client.await_first()

    def _client(
        self, stream: TcpStream, peer: str, forwarder: Forwarder, tls_seconds: float, count: ConnectionCount
    ) -> ClientConnection:
        return ClientConnection(self._service, stream, peer, forwarder, self._redirect, tls_seconds, count)

    # ---------------------------------------------------------------- with TLS

    def _read_hello(
        self, stream: FirstStream, peer: str, count: ConnectionCount, data: bytes = b"", header: ProxyHeader = NOBODY
    ) -> None:
        """In the connection's own greenlet: whom the client asks for, before anybody answers. The rest as `_shake_hands`."""
        begun = time.monotonic()
        stream.deadline = begun + self._timeouts.handshake
        stream.patient = True
        try:
            hello, data = read_hello(stream, data)
        except StreamError as error:
            self._turn_away(stream, peer, error, count)
            return
        name = "" if hello is None else hello.name
        passage = None if hello is None or self._passages is None else self._passages.find(name)
        if passage is not None:
            stream.patient = False
            ends = partial(ends_of, stream, header)
            PassedConnection(self._service, stream, peer, name, passage, count, ends, begun).serve(data)
        elif self._context is not None:
            self._shake_hands(stream.hand_over(), peer, self._context, count, data, header, name)
        else:
            self._turn_away(stream, peer, decline(stream, hello, data), count)

    def _shake_hands(
        self, sock: socket.socket, peer: str, context: ssl.SSLContext, count: ConnectionCount, first: bytes = b"",
        header: ProxyHeader = NOBODY, name: str = "",
    ) -> None:  # fmt: skip
        """`first`: what was read already; `header`: what a proxy in front of us has said; `name`: what the hello asks for, if
        anybody has looked."""
        begun = time.monotonic()
        stream = TlsStream(sock, self._deadlines, self._timeouts.write_stall, context)
        stream.deadline = begun + self._timeouts.handshake
        stream.patient = True  # thousands of hellos at once: others' requests go first, and newcomers one after the other
        try:
            shows = self._shows
            if shows is not None and shows.addressed:
                where = sock.getsockname()
                showing = shows.at_address(where[0]) if isinstance(where, tuple) else None  # a Unix socket's is no tuple
                if showing is not None:
                    stream.show(showing)
            stream.handshake(first)
        except StreamError as error:
            self._turn_away(stream, peer, error, count)
            return
        except Exception as error:  # must not end in the event loop
            self._service.on_fault(error)
            self._turn_away(stream, peer, HandshakeFailed("internal_error"), count)
            return
        stream.patient = False
        if self._proves and stream.protocol() == ACME_TLS:  # an authority has seen what it wanted; nothing is served over it
            count.release()
            stream.finish()
            return
        self._cells[self._handshakes] += 1
        if stream.resumed():
            self._cells[self._resumed] += 1
        forwarder = Forwarder(peer, "https", self._port, self._networks, _Facts(stream), _here(stream, header))
        if shows is not None and shows.asks:
            forwarder.agreement = shows.agreement(stream.session_object())
        seconds = time.monotonic() - begun
        count = self._known(stream, forwarder, count, header, name)
        if self._h2 is not None and stream.protocol() == "h2":
            self._h2.connect(stream, peer, forwarder, seconds, count).serve()
        elif self._h1:
            self._client(stream, peer, forwarder, seconds, count).serve()
        else:  # it has not asked for a protocol, so it speaks HTTP/1
            self._noisy.info("connection.refused", client=peer, port=self._port, reason="http1_not_offered")
            count.release()
            stream.finish()

    def _turn_away(self, stream: TcpStream, peer: str, error: StreamError, count: ConnectionCount) -> None:
        count.release()
        if isinstance(error, SaidNothing):  # each second, for ever, from each balancer and monitor: no event
            self._cells[scalar_at(self._child, Scalar.SILENT)] += 1
            stream.abort()
            return
        self._cells[self._failures] += 1
        reason = error.reason if isinstance(error, HandshakeFailed) else str(error)
        if reason == "callback_failed":  # OpenSSL's word for it
            reason = "unrecognized_name"
        if isinstance(error, TimedOut):
            reason = "handshake_timeout"
        kind = kind_of(error, reason)
        if kind is not None:
            self._cells[scalar_at(self._child, kind)] += 1
        self._noisy.info("tls.handshake_failed", client=peer, port=self._port, reason=reason, **why(error))
        if reason == "plain_http":
            try:
                TcpStream.write(stream, reply(400, "plain_http_on_tls_port", close=True, extra=self._service.date))
            except StreamError:
                pass  # they are gone; nobody to tell
            TcpStream.finish(stream)
        elif isinstance(error, HandshakeFailed):
            TcpStream.finish(stream)  # a reset could overtake the alert that tells the client why
        else:
            stream.abort()


def _here(stream: TcpStream, header: ProxyHeader) -> Callable[[], str]:
    """Where the client has reached us, or the proxy in front of us, as in a URL."""
    where = header.destination
    if not where:
        return stream.local_address
    return lambda: f"[{where}]" if ":" in where else where


class _Facts:
    """The facts of a TLS connection that header rules ask for, found out when the first does. A certificate was verified: else the
    handshake had failed."""

    __slots__ = ("_facts", "_stream")

    def __init__(self, stream: TlsStream) -> None:
        self._stream = stream
        self._facts: TlsFacts | None = None

    def __call__(self) -> TlsFacts:
        if self._facts is None:
            stream = self._stream
            der, told = stream.peer_certificate()
            said = (told.get("subject", ()), told.get("issuer", ()), told.get("serialNumber", ""))
            names = told.get("subjectAltName", ())
            kinds = (tuple(name for kind, name in names if kind == wanted) for wanted in ("DNS", "email", "URI"))
            self._facts = TlsFacts(stream.version(), stream.cipher(), der, *said, *kinds)
        return self._facts
