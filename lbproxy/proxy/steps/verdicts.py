"""Verdicts that hold for a while: what somebody said who was asked about a request, for others that say the very same.

Theory of operation. A request is known by a keyed digest of all that the answer may depend on; no credential is kept. While one is
asked about, others of the same digest wait for what it hears instead of asking, too. If that holds for them, or if nobody answers,
they have it as well; else each asks for itself. Whoever asks and goes away leaves the asking to one of those who wait.
"""

from __future__ import annotations

import hashlib
import hmac
import os
from collections.abc import Callable, Iterable
from typing import NamedTuple

from lbproxy.errors import UpstreamError
from lbproxy.http.authorization import AuthorizationVerdict
from lbproxy.proxy.service import Service
from lbproxy.proxy.steps.flights import Flight
from lbproxy.remembered import Budget

VERDICTS_KEPT = 1024 * 1024
"""Bytes of one route's, in one worker; then all are forgotten."""


class KeptVerdict(NamedTuple):
    verdict: AuthorizationVerdict
    until: float


class _Flight(Flight):
    """One that is asked about."""

    __slots__ = ("error", "verdict")

    def __init__(self) -> None:
        super().__init__()
        self.verdict: AuthorizationVerdict | None = None
        self.error: UpstreamError | None = None


class Verdicts:
    """What was heard about requests of one route, in one worker."""

    def __init__(self, keep: float, secret: bytes = b"") -> None:
        """`keep`: seconds; `secret`: for digests, b"": one of its own."""
        self._keep = keep
        self._secret = secret or os.urandom(32)
        self._budget = Budget(VERDICTS_KEPT)
        self._known: dict[bytes, KeptVerdict] = self._budget.draws({})
        self._flights: dict[bytes, _Flight] = {}

    def digest(self, parts: Iterable[bytes]) -> bytes:
        """What requests are known by that say these things, in this order."""
        digest = hmac.new(self._secret, digestmod=hashlib.sha256)
        for part in parts:
            digest.update(b"%d:" % len(part))
            digest.update(part)
        return digest.digest()

    def of(self, key: bytes, service: Service, ask: Callable[[], AuthorizationVerdict]) -> tuple[AuthorizationVerdict, bool]:
        """(what holds for it, whether nobody had to be asked). Raises what `ask` raises, and what is thrown into the greenlet."""
        while True:
            known = self._known.get(key)
            if known is not None and known.until > service.clock():
                return known.verdict, True
            flight = self._flights.get(key)
            if flight is None:
                return self._asked(key, service, ask), False
            flight.wait(service)
            if flight.error is not None:
                raise UpstreamError(flight.error.status, flight.error.reason)
            if flight.verdict is not None:
                return (flight.verdict, True) if not flight.verdict.cookies else (ask(), False)

    def _asked(self, key: bytes, service: Service, ask: Callable[[], AuthorizationVerdict]) -> AuthorizationVerdict:
        flight = self._flights[key] = _Flight()
        try:
            flight.verdict = verdict = ask()
        except UpstreamError as error:
            flight.error = error
            raise
        finally:
            del self._flights[key]
            flight.land()
        if not verdict.cookies:
            self._budget.keep(self._known, key, KeptVerdict(verdict, service.clock() + self._keep), verdict.size)
        return verdict
