"""[route.authorize]: a server is asked about each request, and what it says decides.

It is asked before a body is read, before the client is invited to send one, and before a protocol is switched, since steps come
before all of that. A request whose client goes away takes the question with it.
"""

from __future__ import annotations

from collections.abc import Callable

from lbproxy.config import model
from lbproxy.errors import RequestError, UpstreamError
from lbproxy.http.authorization import AuthorizationQuestion, AuthorizationVerdict
from lbproxy.http.fields import values
from lbproxy.http.message import RequestHead
from lbproxy.proxy.destination import Destination
from lbproxy.proxy.replies import OwnAnswer
from lbproxy.proxy.service import Service
from lbproxy.proxy.steps.step import Answered, Course, Journey, Step
from lbproxy.proxy.steps.verdicts import Verdicts
from lbproxy.proxy.subrequest import Subrequest
from lbproxy.proxy.time_limit import TimeLimit

UNAVAILABLE = "auth_unavailable"
DENIED = "auth_denied"
Count = Callable[[str, str], None]
"""Told of each outcome of a step."""


class Authorize(Step):
    """Asks about requests of one route, in one worker."""

    __slots__ = ("_cache_by", "_claimed", "_count", "_pass_on_failure", "_question", "_subrequest", "_timeout", "_verdicts")

    def __init__(self, settings: model.AuthorizeConfig, asked: Destination, count: Count) -> None:
        """`asked`: whoever is asked, with time limits of its own."""
        self._question = AuthorizationQuestion(
            settings.path.encode("ascii"), settings.host.encode("ascii"), settings.copy, settings.user
        )
        self._subrequest = Subrequest(asked, settings.max_answer)
        self._timeout = settings.timeout
        self._claimed = settings.copy
        self._pass_on_failure = settings.on_failure == "pass"
        self._cache_by = [name.lower().encode("ascii") for name in settings.cache_by]
        self._verdicts = Verdicts(settings.cache) if settings.cache else None
        self._count = count

    def begin(self, journey: Journey) -> Course | None:
        """See Step. Raises Answered when the request is denied, RequestError 503 when nobody says whether it is."""
        findings, service = journey.findings(), journey.downstream.service
        findings.claim(self._claimed)
        limit = TimeLimit(journey.downstream, None, service.clock() + self._timeout, UNAVAILABLE)
        try:
            verdict, known = self._verdict(journey, service)
        except UpstreamError as error:
            self._fail(journey, error)
            return None
        except RequestError as error:
            if error.reason != UNAVAILABLE:  # somebody else's: the worker ends, the request as a whole is late
                raise
            self._fail(journey, error)
            return None
        finally:
            limit.stop()
        outcome = "allowed" if verdict.passes else "denied"
        self._count("authorize", f"{outcome}_known" if known else outcome)
        findings.note("authorize", f"{outcome}_known" if known else outcome)
        if not verdict.passes:
            lines = verdict.lines + service.date if verdict.undated else verdict.lines
            raise Answered(OwnAnswer(verdict.status, lines, verdict.body), DENIED, whole=True)
        findings.tell_backend(verdict.copied)
        findings.answer_lines += verdict.cookies
        findings.user = verdict.user or findings.user
        return None

    def _verdict(self, journey: Journey, service: Service) -> tuple[AuthorizationVerdict, bool]:
        head, forwarder = journey.head, journey.downstream.forwarder

        def ask() -> AuthorizationVerdict:
            asked, rewriter = self._question.head(head, forwarder), self._subrequest.destination.rewriter
            if rewriter is not None:
                asked = rewriter.begin(forwarder, head).request(asked)
            try:
                answer = self._subrequest.ask(service, b"GET", asked, asker=journey)
            except RequestError as error:
                if error.reason == UNAVAILABLE:  # else all who wait would ask in the last moment of their own time
                    raise UpstreamError(503, UNAVAILABLE, str(error)) from error
                raise
            if answer.head.status >= 500:
                raise UpstreamError(503, UNAVAILABLE, f"{answer.head.status} of whoever was asked")
            return self._question.verdict(answer.head, answer.body)

        if self._verdicts is None:
            return ask(), False
        said = list(self._said(head))
        if not any(said):
            return ask(), False  # whose request it is nobody can tell from others'
        scheme, client = b"s" if forwarder.secure(head) else b"", forwarder.client(head).encode("ascii")
        facts, user = forwarder.tls(), journey.findings().user.encode()  # rules of the pool that is asked may tell of both
        shown = b"" if facts is None else facts.certificate
        key = self._verdicts.digest((head.authority, head.method, head.target, scheme, client, shown, user, *said))
        return self._verdicts.of(key, service, ask)

    def _said(self, head: RequestHead) -> list[bytes]:
        """A text for each field of cache_by; b"" for one that is not there."""
        found = ([b"%d:%b" % (len(value), value) for value in values(head, name)] for name in self._cache_by)
        return [b"".join(each) for each in found]

    def _fail(self, journey: Journey, error: Exception) -> None:
        self._count("authorize", "failed")
        journey.findings().note("authorize", "failed")
        if not self._pass_on_failure:
            raise RequestError(503, UNAVAILABLE, str(error)) from error
