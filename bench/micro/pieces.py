"""The pieces of a request's work, each as a function that does it once: what bench/micro/command.py measures.

Whatever a piece needs is made before, outside of what is measured. A piece gives back what it made, so that a test can tell that it
did what it says.
"""

from __future__ import annotations

import random
import ssl
import tempfile
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import NamedTuple

from bench.macro import certificate
from bench.micro import h2
from bench.micro.instructions import CASES
from lbproxy.balance.backend import Backend
from lbproxy.balance.keyed_pool import KeyedPool
from lbproxy.balance.lease import Lease
from lbproxy.balance.ledger import SIZE, HealthState, Ledger, PerSlot, PickLock, SlotState, cell_at, state_at
from lbproxy.balance.pick_result import NoneAvailable
from lbproxy.balance.policy import Policy
from lbproxy.balance.pool import Pool
from lbproxy.balance.random_two import RandomTwo
from lbproxy.balance.round_robin import RoundRobin
from lbproxy.balance.selection import Preference
from lbproxy.balance.smooth_round_robin import SmoothRoundRobin
from lbproxy.balance.source_hash import HashRing, number_of
from lbproxy.config.model import MatchConfig, RouteConfig
from lbproxy.http.forwarding import Forwarder
from lbproxy.http.h1.chunks import LENIENT
from lbproxy.http.h1.request import LastFields, parse_request
from lbproxy.http.heads import ResponseHeads
from lbproxy.http.message import RequestHead
from lbproxy.observe.access import AccessLog
from lbproxy.proxy.response_body import ResponseBody
from lbproxy.proxy.router import Router
from lbproxy.streams import NEVER, SWIFT_READ, Buffer, Stream

Piece = Callable[[], object]

WORKERS = 4
"""Rows of the ledger that a pick adds up."""
SIZES = (3, 100)
"""Backends of a pool."""


class OpenLock:
    """A pick lock that nobody else wants; the real one takes 0.25 us more."""

    def acquire(self, block: bool = True, timeout: float | None = None, /) -> bool:
        """At once."""
        return True

    def release(self) -> None:
        """At once."""


# ---------------------------------------------------------------- placing


class Farm(NamedTuple):
    """A pool in the last of several workers' rows, with some requests in flight everywhere."""

    ledger: Ledger
    backends: list[Backend]
    lock: PickLock

    def pool(self, policy: Policy | None = None, kind: type[Pool] = Pool) -> Pool:
        """As its last worker has it."""
        return kind("app", self.backends, self.ledger, self.lock, WORKERS - 1, policy)


def farm(size: int, weights: tuple[int, ...] = (1,), tiers: tuple[int, ...] = (0,), warming: int = 0) -> Farm:
    """`weights`, `tiers`: of the backends in turn; `warming`: so many are."""
    ledger = Ledger(bytearray(SIZE))
    for child in range(WORKERS):
        ledger.open_row(child)
    shares = [(weights[at % len(weights)], tiers[at % len(tiers)]) for at in range(size)]
    backends = [
        Backend("app", f"10.0.0.1:{9000 + at}", "h", "10.0.0.1", 9000 + at, weight, 0, at, tier)
        for at, (weight, tier) in enumerate(shares)
    ]
    for at in range(size):
        ledger.cells[state_at(SlotState.HEALTH, at)] = HealthState.WARMING if at < warming else HealthState.UP
        ledger.cells[state_at(SlotState.SHARE, at)] = 50
        for child in range(WORKERS - 1):
            ledger.cells[cell_at(child, PerSlot.IN_FLIGHT, at)] = 2
    return Farm(ledger, backends, PickLock(OpenLock(), ledger, WORKERS - 1))


def picking(pool: Pool, preference: Preference | None = None) -> Piece:
    """A pick, and the lease given back."""

    def pick() -> Lease | NoneAvailable:
        lease = pool.pick((), preference)
        if isinstance(lease, Lease):
            lease.release()
        return lease

    return pick


def picks() -> Iterator[tuple[str, Piece]]:
    """Each policy, and each reason not to go the everyday way, with few backends and with many."""
    for size in SIZES:
        yield f"pick least_conn, {size}", picking(farm(size).pool())
        yield f"pick least_conn weights, {size}", picking(farm(size, weights=(1, 2, 3)).pool())
        yield f"pick least_conn tiers, {size}", picking(farm(size, tiers=(0, 0, 1)).pool())
        yield f"pick least_conn warming, {size}", picking(farm(size, warming=1).pool())
        even, uneven, chance = farm(size), farm(size, weights=(1, 2, 3)), random.Random(1)  # the same each time
        yield f"pick round_robin, {size}", picking(even.pool(RoundRobin(SmoothRoundRobin(even.ledger.cells, range(size)))))
        yield f"pick random_two, {size}", picking(uneven.pool(RandomTwo(chance.random)))
        ring = HashRing([backend.name for backend in even.backends], [1] * size)
        yield f"pick source_hash, {size}", picking(even.pool(kind=KeyedPool), Preference(-1, number_of(b"192.0.2.7"), ring, True))


def lease() -> Piece:
    """Counting a request and giving it back."""
    taken = farm(3).pool().pick()
    assert isinstance(taken, Lease)
    taken.release()

    def count() -> Lease:
        taken.take()
        taken.release()
        return taken

    return count


# ---------------------------------------------------------------- heads and lines


def heads() -> Iterator[tuple[str, Piece]]:
    """Parsing and rewriting, of a request that is new each time and of one that is like the last."""
    forwarder = Forwarder("192.0.2.1", "https", 443, ())
    for case in ("tiny", "browser"):
        raw = CASES[case](0)
        yield f"parse {case}", partial(parse_request, raw, 8192, 100)
        yield f"rewrite {case}", partial(rewrite, forwarder, parse_request(raw, 8192, 100))
    yield "parse browser, same fields", partial(parse_request, CASES["browser"](0), 8192, 100, LastFields())
    answer = b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 2\r\nServer: x\r\n\r\n"
    yield "response head, known", partial(ResponseHeads(200).read, answer, b"GET")


ROUTES = 5000


def routing() -> Iterator[tuple[str, Piece]]:
    """The route of a request that is not the one before: with one route, and with thousands, of which it is the last but one."""
    last, beta = ROUTES - 1, MatchConfig(headers=(("X-Beta", ("1",)),))
    everything = RouteConfig("app")
    for name, routes in (
        ("route, 1", [RouteConfig("app", f"h{last}.test")]),
        (f"route, {ROUTES} hosts", [RouteConfig("app", f"h{number}.test") for number in range(ROUTES)]),
        (f"route, {ROUTES} prefixes", [RouteConfig("app", f"h{last}.test", f"/p{number}") for number in range(ROUTES)]),
        (f"route, {ROUTES} paths", [RouteConfig("app", match=MatchConfig(exact=f"/p{number}/x")) for number in range(ROUTES)]),
        ("route, by a header", [RouteConfig("app", match=beta)]),
    ):
        router = Router([(route, number + 1) for number, route in enumerate([*routes, everything])])
        raw = b"GET /p%d/x HTTP/1.1\r\nHost: h%d.test\r\nX-Beta: 1\r\n\r\n" % (last, last)
        yield name, partial(router.match, parse_request(raw, 8192, 100))


def rewrite(forwarder: Forwarder, head: RequestHead) -> bytes:
    """As if it were another client's."""
    forwarder.forget()
    return forwarder.request(head)


def access_line() -> Piece:
    """One line of the log."""
    log = AccessLog(0.0, lambda second: "2026-01-01T00:00:00")
    who = log.describe("192.0.2.1", b"GET", b"bench.test", b"/tiny", "HTTP/1.1")

    def record() -> bytes:
        log.record(who, 200, "", 100, 1200, "10.0.0.1:9000", 1, 0.0, 1000.0, 1000.0001, 1000.0002, 1000.001, 1000.0011)
        return log.take()

    return record


# ---------------------------------------------------------------- bytes


class Still(Stream):
    """A stream that gives one piece for ever and swallows all: the relay alone is measured."""

    def __init__(self, piece: bytes) -> None:
        self.deadline = NEVER
        self.owner = None
        self.stalls = 0
        self.unread = False
        self._piece = piece

    def read(self, limit: int) -> bytes:
        """The piece."""
        return self._piece

    def write(self, data: Buffer) -> None:
        """Gone."""

    def await_room(self) -> None:
        """There always is."""

    def read_early(self) -> bool:
        """Nothing to be read early."""
        return True

    def end_output(self) -> None:
        """No end."""


def relay_step() -> Piece:
    """A piece of 64 KiB from one stream to another, of a body of ten."""
    piece = b"x" * 65536
    stream = Still(piece)

    def relay() -> int:
        body = ResponseBody(stream, lambda: 0.0, 10 * len(piece), LENIENT, 200)
        passed_on = 0
        while not body.over:
            stream.write(taken := body.piece(SWIFT_READ, 30.0))
            passed_on += len(taken)
        return passed_on

    return relay


class Tls(NamedTuple):
    """One side of a TLS connection in memory."""

    incoming: ssl.MemoryBIO
    outgoing: ssl.MemoryBIO
    sslobject: ssl.SSLObject


def _shake(client: Tls, server: Tls) -> None:
    done: set[int] = set()
    while len(done) < 2:
        for number, (one, other) in enumerate(((client, server), (server, client))):
            try:
                one.sslobject.do_handshake()
                done.add(number)
            except ssl.SSLWantReadError:
                pass  # the other one's turn
            other.incoming.write(one.outgoing.read())


def _side(context: ssl.SSLContext, *, server: bool) -> Tls:
    incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
    name = None if server else "bench.test"
    return Tls(incoming, outgoing, context.wrap_bio(incoming, outgoing, server_side=server, server_hostname=name))


def tls_step(size: int) -> Piece:
    """A message of that size from a client decrypted, and one encrypted for it: a TLS stream's work but for the system calls. The
    client's own half is measured with it."""
    with tempfile.TemporaryDirectory() as folder:
        made = certificate.make(Path(folder))
        ours = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        ours.load_cert_chain(made.cert, made.key)
        theirs = ssl.create_default_context(cafile=str(made.cert))
        theirs.check_hostname = False
        theirs.verify_mode = ssl.CERT_NONE
    client, server = _side(theirs, server=False), _side(ours, server=True)
    _shake(client, server)
    message = b"x" * size

    def step() -> bytes:
        client.sslobject.write(message)
        server.incoming.write(client.outgoing.read())
        got = server.sslobject.read(65536)
        server.sslobject.write(got)
        client.incoming.write(server.outgoing.read())
        return client.sslobject.read(65536)

    return step


def pieces() -> dict[str, Piece]:
    """All of them, by name."""
    return {
        **dict(heads()),
        **dict(picks()),
        **dict(routing()),
        "lease taken and given back": lease(),
        "access line": access_line(),
        "relay ten pieces of 64 KiB": relay_step(),
        "HTTP/2, 16 requests in and out of the engine": h2.Server().step,
        "TLS, 500 bytes there and back": tls_step(500),
        "TLS, 16 KiB there and back": tls_step(16_384),
    }
