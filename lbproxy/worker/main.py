"""The worker process: accepts on the shared sockets, serves clients, beats, drains.

The order of a worker's life: wire everything from the handover, say Ready, accept when told to Serve; on Drain (or when the master
is gone) stop accepting, let requests finish and idle connections have their grace (drain.py), say Drained, exit 0.
"""

from __future__ import annotations

import gc
import os
import resource
import socket
import time
from functools import partial

from gevent.event import Event
from gevent.hub import get_hub
from setproctitle import getproctitle, setproctitle

from lbproxy import compiled
from lbproxy.balance.backend import Backend
from lbproxy.balance.ledger import PickLock, Scalar, scalar_at
from lbproxy.errors import FrameError, StreamError
from lbproxy.http.date import date_line
from lbproxy.ipc.handover import BoundListener, Handover
from lbproxy.ipc.master_link import MasterLink
from lbproxy.ipc.messages import (
    HEARTBEAT_INTERVAL,
    ChallengeOver,
    ChallengeShown,
    Drain,
    Drained,
    Heartbeat,
    Message,
    NewDocument,
    NewKeySocket,
    NewPoolFiles,
    NewTicketKeys,
    Placed,
    Quit,
    Ready,
    Renewed,
    ReopenLogs,
    Serve,
    SetLogLevel,
)
from lbproxy.net.deadlines import Deadlines
from lbproxy.net.dial import BackendDialer
from lbproxy.net.lingering import cut_lingering
from lbproxy.net.listener import Acceptor, Room
from lbproxy.net.scratch import ScratchFile
from lbproxy.net.strands import GeventStrands
from lbproxy.net.wire import ticket_slot
from lbproxy.observe import log
from lbproxy.observe.access import AccessLog
from lbproxy.observe.log import Noisy, get_logger, set_level
from lbproxy.observe.metrics import H2_BACKEND_ENDS
from lbproxy.observe.process import rss_kib
from lbproxy.proxy.client import ClientConnection
from lbproxy.proxy.h2.backends import H2Backends, wants_http_2
from lbproxy.proxy.h2.connection import H2Connection
from lbproxy.proxy.retry_budget import RetryBudgets
from lbproxy.proxy.router import Router
from lbproxy.proxy.service import Counters, Service
from lbproxy.proxy.shedding import shed_oldest
from lbproxy.proxy.upstream_pool import UpstreamPool
from lbproxy.sandbox.kernel import no_more_processes
from lbproxy.sandbox.names import PROCESSES
from lbproxy.tls.contexts import OuterKey
from lbproxy.tls.tickets import TicketKeys, unpacked
from lbproxy.worker.accept.accept_balance import AcceptBalance
from lbproxy.worker.accept.connection_filter import counted_by, make_connection_filter
from lbproxy.worker.accept.connection_limit import ConnectionLimit
from lbproxy.worker.accept.connection_setup import ConnectionSetup
from lbproxy.worker.access_losses import AccessLosses
from lbproxy.worker.certificates import KeyLink, renew
from lbproxy.worker.drain import Drainage, DrainLimits
from lbproxy.worker.first_round import FirstRound
from lbproxy.worker.heap import keep_what_is_free
from lbproxy.worker.log_writer import LogWriter
from lbproxy.worker.wakeups import Wakeups
from lbproxy.worker.wiring.caching import make_cacher
from lbproxy.worker.wiring.challenges import ShownChallenges
from lbproxy.worker.wiring.compressing import make_compressor
from lbproxy.worker.wiring.destinations import make_destinations
from lbproxy.worker.wiring.encryptions import Encryptions
from lbproxy.worker.wiring.filtering import limit_memory, make_filters
from lbproxy.worker.wiring.inspecting import Documents, make_means
from lbproxy.worker.wiring.passages import make_passages
from lbproxy.worker.wiring.pools import make_pools
from lbproxy.worker.wiring.relocation import Relocation
from lbproxy.worker.wiring.storing import make_stores

URGENT = 2  # libev's EV_MAXPRI: no number of clients comes before the master
CLEAN, BROKEN = 0, 1

FLUSH_INTERVAL = 0.2
"""Seconds that counters, and the first access line after a rest, may wait."""
BATCH_INTERVAL = 0.02
"""Seconds that an access line waits for its batch at most, as long as there are more; access.BATCH tells how many they may be."""
RESTS = 25
"""Batches without a line after which nobody looks so often any more."""
DRAIN_CHECK = 0.05
LAST_WORDS = 0.5
"""Seconds that what is tapped may take at the end."""
MOST_TOLD = 128
"""Bytes of somebody else's text in an event."""
UNSENT = 256 * 1024
"""Bytes that wait in the kernel for a client's window at most, beyond what is on its way. Without a bound it takes four MiB of each
download at once, though the client reads next to nothing: 300 such newcomers a second made good clients wait 9 to 18 ms (p99), and
3 with it. A client that reads costs nothing more (16 MiB over loopback: 0.93-1.03 of the CPU)."""


def run(handover: Handover) -> int:
    """Run a worker to its end; the exit code: 0 drained or told to go, 1 when the pipe cannot be trusted."""
    keep_what_is_free()
    made = Worker(handover)
    if handover.config.proxy.walls and no_more_processes():  # its threads run already
        handover.walls.append(PROCESSES)
    return made.run()


class Worker:
    """The process as an object."""

    def __init__(self, handover: Handover) -> None:
        self._handover = handover
        self._loop = get_hub().loop
        self._noisy = Noisy()
        self._deadlines = Deadlines(self._loop)
        self._writer = LogWriter(handover.access_fd) if handover.access_fd >= 0 else None
        lost = partial(self._add, Scalar.ACCESS_DROPPED)
        self._losses = None if self._writer is None else AccessLosses(self._writer, lost, self._noisy)
        self._scratch = ScratchFile(handover.scratch_fd) if handover.scratch_fd >= 0 else None
        self._stores, self._documents = make_stores(handover), Documents(handover.config, handover.documents)
        self._wakeups = Wakeups(self._loop, handover.wakeups, handover.child)
        self._memory = limit_memory(handover)
        self._lock = PickLock(handover.pick_lock, handover.ledger, handover.child)
        self._tickets = TicketKeys(ticket_slot)
        self._use_tickets(handover.ticket_secrets)
        self._service = self._wire()
        self._challenges = ShownChallenges(handover, self._service)
        self._second = 0
        self._tell_date()
        descriptors, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
        limit = handover.config.limits.connections_per_worker
        self._balance = AcceptBalance(handover.ledger, handover.child, limit, descriptors, self._deadlines.streams)
        self._acceptors = [self._acceptor(listener) for listener in handover.listeners]
        self._link = MasterLink(handover.pipe, self._loop, self, URGENT)
        self._keys = KeyLink(handover.remote_keys, self._link)
        self._beat_timer = self._loop.timer(HEARTBEAT_INTERVAL, HEARTBEAT_INTERVAL, priority=URGENT)
        self._flush_timer = self._loop.timer(FLUSH_INTERVAL, FLUSH_INTERVAL)
        self._batch_timer = self._loop.timer(BATCH_INTERVAL, BATCH_INTERVAL)
        self._empty_batches = RESTS
        self._drain_timer = self._loop.timer(DRAIN_CHECK, DRAIN_CHECK)
        self._drainage: Drainage | None = None
        self._over = Event()
        self._code = CLEAN

    def _wire(self) -> Service:
        handover, config = self._handover, self._handover.config
        strands = GeventStrands()
        pools = make_pools(handover, strands, time.monotonic, self._wakeups)
        idle = UpstreamPool(time.monotonic, {pool.name: pool.connections for pool in config.pools}, handover.ledger.spoken)
        self._pools = pools.pools
        self._relocation = Relocation(handover, pools, idle)
        filters = make_filters(config, handover.ledger, handover.child, self._memory, time.monotonic)
        # The link is made later.
        means = make_means(handover, self._documents, self._memory, self._noisy, lambda wish: self._link.send(wish), strands.alarm)
        self._settle_taps = means.settle
        makers = make_compressor(config, handover.ledger, handover.child, time.monotonic), make_cacher(self._stores)
        destinations = make_destinations(config, pools.pools, filters, handover.ledger.secret(), handover.child, means, *makers)
        self._encryptions = Encryptions(handover, self._noisy)
        tls_ports = [bound.listen.address.port for bound in handover.listeners if not bound.listen.plain]
        service = Service(
            config=config,
            router=Router(destinations.routes),
            idle=idle,
            dialer=BackendDialer(self._deadlines, self._encryptions.by_pool, self._encryptions.on_refused),
            strands=strands,
            counters=Counters(handover.ledger, handover.child),
            access=AccessLog(time.time() - time.monotonic(), _stamp, self._flush_lines) if self._writer is not None else None,
            clock=time.monotonic,
            on_fault=self._on_fault,
            retries=RetryBudgets(handover.ledger.cells, handover.child, self._lock, strands.sleep, config.pools),
            https_port=next(filter(None, tls_ports), 443),
            admissions=pools.admissions,
            rewriter=destinations.rewriter,
            on_unread=self._on_unread,
            scratch=self._scratch,
            on_buffer_failed=self._on_buffer_failed,
        )
        if any(map(wants_http_2, config.pools)):
            idle.shared = H2Backends(service, config.pools, self._on_backend_ended)
        return service

    def _acceptor(self, bound: BoundListener) -> Acceptor:
        # Accepted sockets inherit them, which saves two system calls a connection.
        if bound.socket.family != socket.AF_UNIX:
            bound.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            bound.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, UNSENT)
        handover = self._handover
        most = bound.listen.max_connections
        limit = ConnectionLimit(handover.ledger, self._lock, handover.child, bound.slot, most, self._wakeups)
        asked = make_connection_filter(bound.listen, handover, self._memory, limit, time.monotonic)
        passages = make_passages(bound.listen, handover.config, self._pools)
        setup = ConnectionSetup(bound, self._service, self._deadlines, handover, self._noisy, limit, asked, passages)

        def make_room() -> bool:
            made = self._shed(limit)
            if not made:
                self._noisy.warning("accept.full", listener=str(bound.listen.address), max_connections=limit.most)
            return made

        return Acceptor(self._loop, bound.socket, setup.begin, self._room, self._on_exhausted, limit, make_room)

    def _room(self) -> Room:
        """See listener.Room: at the ceiling, idle connections to backends, clients that were refused and go on sending, and those
        that have been idle for long give way."""
        room = self._balance.room()
        if room is Room.FULL and self._balance.scarce():
            if len(self._service.idle):
                self._service.idle.close()
            if self._balance.scarce():
                cut_lingering(self._deadlines.streams, time.monotonic())
            room = self._balance.room()
        return self._balance.room() if room is Room.FULL and self._shed() else room

    def _shed(self, limit: ConnectionLimit | None = None) -> bool:
        """Whether anybody could be shown out; of those that count against that limit, if one is given."""
        clients = [each for each in self._service.connections if isinstance(each, ClientConnection | H2Connection)]
        if limit is not None:
            clients = [each for each in clients if counted_by(each.count, limit)]
        return shed_oldest(clients, time.monotonic()) > 0

    # ---------------------------------------------------------------- life

    def run(self) -> int:
        """Returns the exit code."""
        gc.collect()
        gc.freeze()  # what is here now stays; the collector need not look at it again
        gc.set_threshold(20_000, 20, 50)  # connections come and go by reference count, cycles are rare
        self._deadlines.start()
        self._link.start(time.monotonic())
        self._beat_timer.start(self._beat)
        self._flush_timer.start(self._flush)
        FirstRound(self._handover, self._loop, time.monotonic, self._say_ready).start()
        self._over.wait()
        return self._stop()

    def _say_ready(self) -> None:
        self._link.send(Ready(os.getpid(), compiled.loaded(), " ".join(self._handover.walls)))

    def _serve(self) -> None:
        if self._drainage is None:
            for acceptor in self._acceptors:
                acceptor.start()
            self._set(Scalar.ACCEPTING, 1)

    def _stop(self) -> int:
        self._set(Scalar.ACCEPTING, 0)
        self._flush()
        self._settle_taps(time.monotonic() + LAST_WORDS)
        if self._writer is not None and self._losses is not None:
            self._writer.close(timeout=2.0)
            self._losses.look()
        self._link.close()
        return self._code

    def _end(self, code: int) -> None:
        self._code = code
        self._over.set()

    # ---------------------------------------------------------------- draining

    def _drain(self, limits: DrainLimits, orphaned: bool = False) -> None:
        now = time.monotonic()
        if self._drainage is not None:
            self._drainage.shorten(limits, now)
            return
        setproctitle(f"{getproctitle().removesuffix(')')}, draining)")
        self._set(Scalar.ACCEPTING, 0)
        for index, acceptor in enumerate(self._acceptors):
            if index not in limits.closing:
                acceptor.stop()
            elif orphaned:
                acceptor.stop_with_queue()  # at once: a supervisor may be starting a new lbproxy that wants the port
            else:
                acceptor.last_orders()
        grace = self._handover.config.proxy.idle_grace
        self._drainage = Drainage(self._service, self._deadlines.streams, limits, grace, now)
        self._drain_timer.start(self._check_drained)

    def _check_drained(self) -> None:
        drainage = self._drainage
        assert drainage is not None
        if not drainage.advance(time.monotonic()) or any(acceptor.open for acceptor in self._acceptors):
            return
        self._drain_timer.stop()
        if drainage.cut:
            get_logger().warning("drain.cut", connections=drainage.cut)
        self._link.send(Drained(drainage.cut))
        self._end(CLEAN)

    # ---------------------------------------------------------------- timers

    def _beat(self) -> None:
        """On time, or from within a turn that has become long: only a loop that does not turn at all is silent."""
        self._deadlines.budget.watch(self._beat)
        lag = self._link.lag_ms(time.monotonic())
        cells, child = self._handover.ledger.cells, self._handover.child
        live = cells[scalar_at(child, Scalar.LIVE_REQUESTS)]
        connections = cells[scalar_at(child, Scalar.CONNECTIONS)]
        requests = sum(self._service.counters.statuses)
        self._link.send(Heartbeat(lag, rss_kib(), connections, live, requests))

    def _flush(self) -> None:
        log.flush()
        if self._losses is not None:
            self._losses.look()
        self._tell_date()
        self._service.counters.publish()
        if self._flush_lines() and self._empty_batches >= RESTS:
            self._empty_batches = 0
            self._batch_timer.start(self._flush_batch)

    def _flush_batch(self) -> None:
        self._empty_batches = 0 if self._flush_lines() else self._empty_batches + 1
        if self._empty_batches >= RESTS:
            self._batch_timer.stop()

    def _flush_lines(self) -> bool:
        """Hand over the access lines; whether there were any."""
        access, writer = self._service.access, self._writer
        if access is None or writer is None or self._losses is None or not len(access):
            return False
        lines = len(access)
        if not writer.write(access.take()):
            self._losses.refused(lines)
        return True

    def _tell_date(self) -> None:
        second = int(time.time())
        if second != self._second:
            self._second = second
            self._service.date = date_line(second)

    # ---------------------------------------------------------------- the master

    def on_malformed(self, error: FrameError) -> None:
        """See ipc.master_link.Child."""
        get_logger().error("pipe.malformed", why=str(error))
        self._end(BROKEN)

    def on_master_gone(self) -> None:
        """See ipc.master_link.Child: drain, and let others have the ports at once."""
        if self._drainage is None:
            get_logger().warning("master.gone", then="drain")
        limits = DrainLimits.orphaned(self._handover.config.proxy.drain_timeout, len(self._acceptors))
        self._drain(limits, orphaned=True)

    def obey(self, message: Message) -> None:
        """See ipc.master_link.Child."""
        if isinstance(message, Serve):
            self._serve()
        elif isinstance(message, Drain):
            self._drain(DrainLimits.told(message))
        elif isinstance(message, Quit):
            self._end(CLEAN)
        elif isinstance(message, Placed):
            self._relocation.apply(message)
        elif isinstance(message, Renewed):
            renew(self._handover.listeners, message)
        elif isinstance(message, NewPoolFiles):
            self._encryptions.renew(message, self._link.take_fd(), self._service.idle)
        elif isinstance(message, NewTicketKeys) and self._handover.keys is not None:
            self._use_tickets(unpacked(self._handover.keys(message.at, message.size)))
        elif isinstance(message, NewDocument) and self._handover.keys is not None:
            self._documents.renew(message.number, self._handover.keys(message.at, message.size))
        elif isinstance(message, ChallengeShown | ChallengeOver):
            self._challenges.obey(message)
        elif isinstance(message, SetLogLevel):
            set_level(message.level)
        elif isinstance(message, NewKeySocket):
            self._keys.reconnect()
        elif isinstance(message, ReopenLogs):
            fd = self._link.take_fd()
            if fd >= 0 and self._writer is not None:
                self._flush()
                self._writer.reopen(fd)

    def _use_tickets(self, secrets: tuple[bytes, ...]) -> None:
        """Make and take session tickets with these."""
        listeners = [(bound.context, bound.asks) for bound in self._handover.listeners]
        asked = [(context, key) for context, key in listeners if context is not None and isinstance(key, OuterKey)]
        if secrets and asked and not self._tickets.use(secrets, asked):
            get_logger().warning("tickets.fixed", why="OpenSSL takes no keys here: its own stay as long as the listener does")

    def on_lost(self, message: Message, error: StreamError) -> None:
        """See ipc.master_link.Child."""
        get_logger().debug("message to the master lost", kind=type(message).__name__, why=str(error))

    # ---------------------------------------------------------------- the rest

    def _set(self, scalar: Scalar, value: int) -> None:
        self._handover.ledger.cells[scalar_at(self._handover.child, scalar)] = value

    def _add(self, scalar: Scalar, value: int) -> None:
        self._handover.ledger.cells[scalar_at(self._handover.child, scalar)] += value

    def _on_fault(self, error: BaseException) -> None:
        self._noisy.warning("request.fault", exc_info=error)

    def _on_backend_ended(self, backend: Backend, reason: str) -> None:
        kind = H2_BACKEND_ENDS.index(reason) if reason in H2_BACKEND_ENDS else len(H2_BACKEND_ENDS) - 1
        self._handover.ledger.cells[scalar_at(self._handover.child, Scalar.H2_BACKENDS_ENDED) + kind] += 1
        self._noisy.warning("h2.backend_ended", backend=backend.identity, reason=reason)

    def _on_unread(self, peer: str, text: bytes) -> None:
        self._noisy.warning("client.unknown", proxy=peer, wrote=text[:MOST_TOLD].decode("latin-1"))

    def _on_buffer_failed(self, why: str) -> None:
        self._add(Scalar.BUFFER_FAILURES, 1)
        self._noisy.warning("buffer.failed", why=why, then="passed on as it comes")

    def _on_exhausted(self, error: OSError) -> None:
        self._noisy.warning("accept.exhausted", why=error.strerror or str(error))


def _stamp(second: int) -> str:
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
