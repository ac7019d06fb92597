"""The filters of a route, before any backend is asked, in this order: addresses, methods, names in a client's
certificate, rules, and limits per client.

The client is the peer, or whom it speaks for when it is one of trusted_proxies (http/trusted.py). One who is unknown because a
trusted proxy wrote no address for him passes no rule about addresses, and counts as the last one on the way who is known. A request
that one limit refuses has used up its token of those before.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

from lbproxy.balance.ledger import Ledger, Scalar, scalar_at
from lbproxy.config.model import RouteFiltersConfig
from lbproxy.errors import Filtered
from lbproxy.filter.addresses import AddressRule, parse_client
from lbproxy.filter.certificate_names import CertificateNames
from lbproxy.filter.limiter import CLIENTS_KEPT, SECOND, Limiter, LimitTicket, OverLimit
from lbproxy.http.forwarding import Forwarder
from lbproxy.http.message import RequestHead
from lbproxy.http.rules import make_rule
from lbproxy.http.tls_facts import TlsFacts
from lbproxy.proxy.steps.step import Course, Journey, Step
from lbproxy.remembered import Budget

SIZE = 384
"""Bytes of a client's address that is remembered, as text and number."""


class HeldLimits(Course):
    """What a request is counted in, until its end, or that of the context that this is."""

    __slots__ = ("_tickets",)

    def __init__(self) -> None:
        self._tickets: list[LimitTicket] = []

    def add(self, ticket: LimitTicket) -> None:
        self._tickets.append(ticket)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *_: object) -> None:
        self.end()

    def end(self) -> None:
        """See Course."""
        while self._tickets:
            self._tickets.pop().release()


_NOTHING = HeldLimits()


class Filters(Step):
    """Refuses requests of one route, in one worker, before any backend is asked."""

    __slots__ = (
        "_addresses", "_allow", "_budget", "_cells", "_certificates", "_child", "_clock", "_known", "_limiters", "_methods",
        "_rules",
    )  # fmt: skip

    def __init__(
        self,
        settings: RouteFiltersConfig,
        limiters: Sequence[Limiter],
        ledger: Ledger,
        child: int,
        clock: Callable[[], float],
        budget: Budget | None = None,
    ) -> None:
        """`limiters`: those of the route, its own and shared ones; `clock`: monotonic seconds; `budget`: for addresses that are
        remembered; None: one of its own."""
        self._addresses = AddressRule.of(settings.addresses) if settings.addresses.restricts else None
        methods = [*settings.methods, *(("HEAD",) if "GET" in settings.methods and "HEAD" not in settings.methods else ())]
        self._methods = frozenset(method.encode() for method in methods)
        self._allow = f"\r\nAllow: {', '.join(methods)}".encode()
        self._rules = [make_rule(refuse) for refuse in settings.refuse]
        names = settings.client_certificate
        self._certificates = None if names is None else CertificateNames(names.dns, names.email, names.uri, names.spiffe)
        self._limiters = list(limiters)
        self._budget = budget or Budget(CLIENTS_KEPT)
        self._known: dict[str, bytes | None] = self._budget.draws({})
        """Address -> the client's site; None: it may not come in."""
        self._cells = ledger.cells
        self._child = child
        self._clock = clock

    def begin(self, journey: Journey) -> Course | None:
        """See Step. Raises Filtered."""
        held = self.admit(journey.head, journey.downstream.forwarder)
        return None if held is _NOTHING else held

    def admit(self, head: RequestHead, forwarder: Forwarder) -> HeldLimits:
        """A context to serve the request in. Raises Filtered when it is refused."""
        site = b""
        if self._addresses is not None or self._limiters:
            site = self._site(forwarder.client(head))
            if self._addresses is not None and forwarder.unread(head):
                # Whom a trusted proxy speaks for is unknown: it may be one who is denied, and is none who is allowed for sure.
                raise self._refused(Scalar.REFUSED_ADDRESS, Filtered(403, "address_unknown"))
        if self._methods and head.method not in self._methods:
            raise self._refused(Scalar.REFUSED_METHOD, Filtered(405, "method_not_allowed", lines=self._allow))
        if self._certificates is not None:
            self._look_at_certificate(self._certificates, forwarder.tls())
        for rule in self._rules:
            if rule.refuses(head):
                raise self._refused(Scalar.REFUSED_RULE, Filtered(403, "denied", rule=rule.name))
        return self._count(site) if self._limiters else _NOTHING

    def _look_at_certificate(self, wanted: CertificateNames, facts: TlsFacts | None) -> None:
        if facts is None or not facts.certificate:
            raise self._refused(Scalar.REFUSED_RULE, Filtered(403, "client_certificate_missing"))
        if not wanted.admit(facts.dns, facts.email, facts.uri):
            raise self._refused(Scalar.REFUSED_RULE, Filtered(403, "client_certificate_denied"))

    def _site(self, address: str) -> bytes:
        try:
            site = self._known[address]
        except KeyError:
            client = parse_client(address)
            site = client.site() if self._addresses is None or self._addresses.admits(client) else None
            self._budget.keep(self._known, address, site, SIZE)
        if site is None:
            raise self._refused(Scalar.REFUSED_ADDRESS, Filtered(403, "address_denied"))
        return site

    def _count(self, site: bytes) -> HeldLimits:
        now = int(self._clock() * SECOND)
        held = _NOTHING
        for limiter in self._limiters:
            got = limiter.take(site, now)
            if isinstance(got, OverLimit):
                with held:  # and what is held already is given back
                    raise self._too_many(got)
            if got is not None:
                held = HeldLimits() if held is _NOTHING else held
                held.add(got)
        return held

    def _too_many(self, refused: OverLimit) -> Filtered:
        if not refused.wait:
            return self._refused(Scalar.REFUSED_CONCURRENCY, Filtered(429, "client_concurrency", lines=b"\r\nRetry-After: 1"))
        seconds = -(-refused.wait // SECOND)
        return self._refused(Scalar.REFUSED_RATE, Filtered(429, "client_rate", lines=b"\r\nRetry-After: %d" % seconds))

    def _refused(self, why: Scalar, error: Filtered) -> Filtered:
        self._cells[scalar_at(self._child, why)] += 1
        return error
