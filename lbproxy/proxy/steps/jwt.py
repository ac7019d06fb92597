"""[route.jwt]: bearer tokens that somebody else has signed (RFC 6750, RFC 7519), checked here; nobody is asked.

A token comes in Authorization, or in a cookie where the route names one; never in the query, where logs and Referer would tell it.
What is checked is what a backend reads, which may go by the token, too, and take another line or another cookie than the first: a
request that has several, or one that only some would take for one, is refused.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from urllib.parse import unquote_to_bytes

from lbproxy.config import model
from lbproxy.errors import Filtered, RequestError
from lbproxy.http.fields import values
from lbproxy.http.message import RequestHead
from lbproxy.http.tokens import UNKNOWN_KEY, BadKeys, TokenKeys, TokenRules, Untrusted, texts
from lbproxy.proxy.steps.authorize import UNAVAILABLE, Count
from lbproxy.proxy.steps.step import Course, Journey, Step

_BEARER = re.compile(rb"(?i)bearer[ ]++([!-~]++)\Z")
_MAYBE_BEARER = re.compile(rb"(?i)(?:^|[\s,])bearer(?![!#$%&'*+.^_`|~0-9a-z-])")
"""In a value that is no bearer token to us, and may be one to somebody else: behind a tab, a comma, another scheme."""
_NAMES_IN_QUERY = re.compile(rb"(?:^|[&;])([^=&;]*+)=")


class Jwt(Step):
    """Checks tokens of one route, in one worker."""

    __slots__ = (
        "_challenge", "_claimed", "_claims", "_cookie", "_count", "_keys", "_on_unknown", "_pass_on_failure", "_user", "_wanted",
    )  # fmt: skip

    def __init__(self, settings: model.JwtConfig, count: Count, on_unknown: Callable[[], None] = lambda: None) -> None:
        """`on_unknown`: told when a token names a key that is not among ours."""
        self._on_unknown = on_unknown
        self._keys = TokenKeys()
        self._wanted = TokenRules(settings.algorithms, settings.audience, settings.issuer, settings.leeway, settings.require)
        cookie = re.escape(settings.cookie.encode("ascii"))
        self._cookie = re.compile(rb"(?:^|[;,\s\"])" + cookie + rb"\s*=\s*([^;,\s]*)") if settings.cookie else None
        self._claims = settings.claims
        self._claimed = [*(name for name, _ in settings.claims), *([] if settings.pass_on else ["Authorization"])]
        self._pass_on_failure = settings.on_failure == "pass"
        self._user = settings.user
        self._challenge = f'\r\nWWW-Authenticate: Bearer realm="{settings.realm}"'.encode("ascii")
        self._count = count

    def renew(self, content: bytes) -> None:
        """The keys are others now. What is no set of keys changes nothing."""
        try:
            self._keys = TokenKeys.parse(content)
        except BadKeys:
            pass  # who made it so has told; until there are some, nobody comes in

    def begin(self, journey: Journey) -> Course | None:
        """See Step. Raises Filtered 401, RequestError 503 as long as there are no keys."""
        findings = journey.findings()
        findings.claim(self._claimed)
        outcome, error = "allowed", None
        try:
            self._check(journey)
        except RequestError as refused:
            error = refused
            outcome = "denied" if refused.status == 401 else "failed"
        self._count("jwt", outcome)
        findings.note("jwt", outcome)
        if error is not None and not (outcome == "failed" and self._pass_on_failure):
            raise error
        return None

    def _check(self, journey: Journey) -> None:
        if not len(self._keys):
            raise RequestError(503, UNAVAILABLE, "no keys yet")
        try:
            token = self._token(journey.head)
        except Untrusted as error:
            raise self._refused("invalid_request", str(error)) from error
        if not token:
            raise Filtered(401, "auth_required", lines=self._challenge)
        try:
            said = self._wanted.claims(token, self._keys)
        except Untrusted as error:
            if str(error) == UNKNOWN_KEY:
                self._on_unknown()
            raise self._refused("invalid_token", str(error)) from error
        findings = journey.findings()
        for name, claim in self._claims:
            for text in texts(said.get(claim)):
                findings.tell_backend(f"\r\n{name}: {text}".encode("ascii"))
        findings.user = next(iter(texts(said.get(self._user))), "")

    def _refused(self, kind: str, why: str) -> Filtered:
        lines = self._challenge + f', error="{kind}", error_description="{why}"'.encode("ascii")
        return Filtered(401, "token_refused", lines=lines, rule=why)

    def _token(self, head: RequestHead) -> str:
        """ "": there is none. Raises Untrusted where it stands where none may, or where there are several."""
        query = head.target.partition(b"?")[2]
        if query and any(unquote_to_bytes(name) == b"access_token" for name in _NAMES_IN_QUERY.findall(query)):
            raise Untrusted("in_query")
        said = [*self._in_authorization(head), *self._in_cookies(head)]
        if len(set(said)) > 1:
            raise Untrusted("several")
        return said[0].decode("latin-1") if said else ""

    def _in_authorization(self, head: RequestHead) -> Iterator[bytes]:
        lines = list(values(head, b"authorization"))
        for value in lines:
            if (found := _BEARER.match(value)) is not None:
                if len(lines) > 1:
                    raise Untrusted("several")
                yield found[1]
            elif _MAYBE_BEARER.search(value) is not None:
                raise Untrusted("malformed")

    def _in_cookies(self, head: RequestHead) -> Iterator[bytes]:
        """All that anybody may take for that cookie: some separate cookies by white space or commas, and allow it around "="."""
        if self._cookie is not None:
            for value in values(head, b"cookie"):
                yield from filter(None, self._cookie.findall(value))
