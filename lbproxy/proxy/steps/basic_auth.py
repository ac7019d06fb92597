"""[route.basic_auth]: users and passwords from a file (RFC 7617).

Theory of operation. Checking a password takes a tenth of a second on purpose; it is done elsewhere (`verify`), and what was found
to fit is remembered for a while under a keyed digest of user, hash and password: a client that sends them with every request pays
once, and a file that changes counts at once. Of requests that come together and say the same one is checked. Only checks count
against the rate, and in the end only those of what did not fit: whoever is logged in is not locked out by somebody else who
guesses, nor by others of the same address who log in. One who is not there is checked against another's hash, and costs as much.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import hmac
import os
import re
from collections.abc import Callable

from lbproxy.config import model
from lbproxy.config.passwords import NOBODY, parse
from lbproxy.errors import Filtered, RequestError
from lbproxy.filter.addresses import parse_client
from lbproxy.filter.limiter import SECOND, Limiter, OverLimit
from lbproxy.http.fields import values
from lbproxy.http.message import RequestHead
from lbproxy.proxy.steps.authorize import Count
from lbproxy.proxy.steps.flights import Checks
from lbproxy.proxy.steps.step import Course, Journey, Step
from lbproxy.remembered import Budget

KNOWN_KEPT = 256 * 1024
"""Bytes of one route's, in one worker; then all are forgotten."""
SIZE = 256
"""Bytes of one that is known."""
LONGEST = 1024
"""Bytes of a user and a password together."""
_CREDENTIALS = re.compile(rb"(?i)basic[ ]++([A-Za-z0-9+/]++={0,2})\Z")

Verify = Callable[[bytes, str], bool]
"""Whether a password is the one that was hashed; may take its time. Raises RequestError 503."""


class BasicAuth(Step):
    """Asks clients of one route who they are, in one worker."""

    __slots__ = (
        "_budget", "_by_address", "_by_user", "_challenge", "_checks", "_count", "_header", "_keep", "_known", "_name", "_pass_on",
        "_secret", "_users", "_verify",
    )  # fmt: skip

    def __init__(
        self, settings: model.BasicAuthConfig, verify: Verify, limiters: tuple[Limiter, Limiter], count: Count, secret: bytes = b""
    ) -> None:
        """`limiters`: of tries of each address, and of each user; `secret`: for digests, b"": one of its own."""
        self._users = NOBODY
        self._verify = verify
        self._by_address, self._by_user = limiters
        self._count = count
        self._keep = settings.remember
        self._pass_on = settings.pass_on
        self._header = settings.header
        self._challenge = f'\r\nWWW-Authenticate: Basic realm="{settings.realm}", charset="UTF-8"'.encode("ascii")
        self._secret = secret or os.urandom(32)
        self._budget = Budget(KNOWN_KEPT)
        self._known: dict[bytes, float] = self._budget.draws({})
        self._checks = Checks()

    def renew(self, content: bytes) -> None:
        """The file is another one now; whoever made it so has looked at it."""
        self._users, _ = parse(content.decode("utf-8", "replace"))

    def begin(self, journey: Journey) -> Course | None:
        """See Step. Raises Filtered 401 and 429, RequestError 503."""
        findings = journey.findings()
        findings.claim([*([] if self._pass_on else ["Authorization"]), *([self._header] if self._header else [])])
        try:
            user, outcome = self._who(journey)
        except RequestError as error:
            outcome = {401: "denied", 429: "limited"}.get(error.status, "failed")
            self._count("basic_auth", outcome)
            findings.note("basic_auth", outcome)
            raise
        self._count("basic_auth", outcome)
        findings.note("basic_auth", outcome)
        findings.user = user
        if self._header:
            findings.tell_backend(f"\r\n{self._header}: {user}".encode("ascii"))
        return None

    def _who(self, journey: Journey) -> tuple[str, str]:
        """(user, "allowed" or "allowed_known")"""
        name, password = credentials(journey.head) or self._refuse()
        user = name.decode("utf-8", "replace")
        hashed = self._users.hashes.get(user, "")
        service = journey.downstream.service
        clock = service.clock
        key = hmac.digest(self._secret, b"%d:%b:%b:%b" % (len(name), name, hashed.encode("ascii"), password), hashlib.sha256)
        if self._keep and hashed and self._known.get(key, 0.0) > clock():
            return user, "allowed_known"

        def check() -> bool:
            return self._check(journey, name, password, hashed)

        if not self._checks.of(key, service, check):
            self._refuse()
        if self._keep:
            self._budget.keep(self._known, key, clock() + self._keep, SIZE)
        return user, "allowed"

    def _check(self, journey: Journey, name: bytes, password: bytes, hashed: str) -> bool:
        """`hashed`: "": there is no such user."""
        now = int(journey.downstream.service.clock() * SECOND)
        site = parse_client(journey.downstream.forwarder.client(journey.head)).site()
        taken = (self._by_address, site), (self._by_user, hashlib.sha256(name).digest())
        for limiter, who in taken:
            refused = limiter.take(who, now)
            if isinstance(refused, OverLimit):
                wait = max(1, -(-refused.wait // SECOND))
                raise Filtered(429, "auth_rate", lines=b"\r\nRetry-After: %d" % wait)
        against = hashed or self._users.stand_in
        fits = bool(against) and self._verify(password, against) and bool(hashed)
        if fits:
            for limiter, who in taken:
                limiter.give_back(who)
        return fits

    def _refuse(self) -> tuple[bytes, bytes]:
        raise Filtered(401, "auth_required", lines=self._challenge)


def credentials(head: RequestHead) -> tuple[bytes, bytes] | None:
    """User and password; None where none are said, more than one are, or what is said is none."""
    said = list(values(head, b"authorization"))
    found = _CREDENTIALS.match(said[0]) if len(said) == 1 else None
    if found is None or len(found[1]) > 2 * LONGEST:
        return None
    try:
        user, colon, password = base64.b64decode(found[1], validate=True).partition(b":")
    except (binascii.Error, ValueError):
        return None
    return (user, password) if colon and len(user) + len(password) <= LONGEST else None
