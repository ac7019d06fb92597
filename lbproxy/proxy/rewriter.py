"""The rewriting of header fields: a Rewriter of each destination, a Rewriting of each request, from the rules in http/.

Theory of operation. What can be known before a request comes is folded into a few objects (http/edits.py); of what is left, the
most is remembered: a destination's response heads by their bytes (http/heads.py), the last request head of a connection beside what
it became (Forwarder.edited). Destinations that want the same share a Rewriter, and those that want nothing have none.
"""

from __future__ import annotations

from typing import NamedTuple

from lbproxy.config.model import AS_THEY_ARE, HeaderRulesConfig, Hsts, PathRulesConfig
from lbproxy.http import trace_context
from lbproxy.http.edits import (
    Folded,
    PrefixedEdits,
    RequestEdits,
    ResponseEdits,
    VaryingLines,
    covered,
    fold,
    line_of,
    telltales,
    varies,
)
from lbproxy.http.findings import Findings
from lbproxy.http.forwarding import Forwarder
from lbproxy.http.grammar import END
from lbproxy.http.h1.tolerance import Tolerance
from lbproxy.http.heads import HeadsLedBack, ResponseHeads
from lbproxy.http.message import FIELDS_KEPT, RequestHead
from lbproxy.http.prefix import Prefix, PrefixRequest, host_of
from lbproxy.http.presets import defaults
from lbproxy.http.variables import RequestFacts
from lbproxy.remembered import Budget

_SEEN = "x-request-id"


class RewriteSettings(NamedTuple):
    """All that a destination does to header fields and paths, nothing left to inherit."""

    requests: tuple[HeaderRulesConfig, ...] = ()
    """The pool's, then the route's."""
    responses: tuple[HeaderRulesConfig, ...] = ()
    security_headers: str = "off"
    hsts: Hsts = Hsts()
    request_id: str = "off"
    trace: str = "off"
    tolerate: tuple[str, ...] = ()
    """Faults of the pool's answers, in order."""
    paths: PathRulesConfig = AS_THEY_ARE
    names: tuple[str, ...] = ()
    """What the pool's backends are called there, in order; only where paths change."""
    inspected: bool = False
    """Steps may find out something about requests."""
    claimed: tuple[str, ...] = ()
    """Names of fields that they say to the backend, and nobody else."""


UNTOUCHED = RewriteSettings()


def everyday_heads(max_fields: int, budget: Budget | None = None) -> ResponseHeads:
    """For destinations that want nothing: only what tells about a backend's software comes off."""
    return ResponseHeads(max_fields, ResponseEdits(telltales(()), ()), budget)


class Rewriter:
    """Rewrites the heads of one destination, or of several that want the same, in one worker."""

    __slots__ = (
        "_ids",
        "_own",
        "_secure_own",
        "edits",
        "heads",
        "prefix",
        "request_id",
        "ruled_requests",
        "ruled_responses",
        "secure_heads",
        "sends_id",
        "sends_trace",
        "shown",
        "trace",
        "varying",
    )

    def __init__(self, settings: RewriteSettings, max_fields: int, budget: Budget, ids: trace_context.Ids) -> None:
        """`max_fields` of a response; `budget`: for response heads that are remembered."""
        self._ids = ids
        self.request_id = settings.request_id
        self.trace = settings.trace
        requests, responses = fold(settings.requests), fold(settings.responses)
        ruled = [*requests.drops, *(name.lower() for name, _ in requests.lines)]
        self.sends_id = settings.request_id != "off" and not covered(_SEEN, ruled)
        """The backend is told the request's id, unless a rule says something else about that field."""
        self.sends_trace = settings.trace != "off" and not covered("traceparent", ruled)
        self.edits: RequestEdits | PrefixedEdits | None = _request_edits(requests, self.sends_id, self.sends_trace)
        self.prefix = Prefix(settings.paths, settings.names) if settings.paths else None
        if self.prefix is not None:
            self.edits = PrefixedEdits(self.prefix, self.edits, not covered("x-forwarded-prefix", ruled))
        steady = [pair for pair in responses.lines if not varies(pair[1])]
        varying = [pair for pair in responses.lines if varies(pair[1])]
        self.varying = VaryingLines(varying) if varying else None
        drops = [*telltales(settings.responses), *responses.drops]
        self.ruled_requests = (*ruled, *(name.lower() for name in settings.claimed))
        self.ruled_responses = (*drops, *(name.lower() for name, _ in responses.lines))
        """Names in lower case, or "x-*", that trailers do not say either."""
        self.shown = settings.request_id != "off" and not covered(_SEEN, responses.drops)
        """The client is told the request's id."""
        if self.shown:
            drops.append(_SEEN)
        tolerance = Tolerance(settings.tolerate) if settings.tolerate else None
        for secure in (False, True):
            found = defaults(settings.security_headers, settings.hsts, secure=secure)
            heads = ResponseHeads(max_fields, ResponseEdits(drops, steady, found, responses.swaps), budget, tolerance)
            own = b"".join(line_of(*pair) for pair in found)
            if secure:
                self.secure_heads, self._secure_own = heads, own
            else:
                self.heads, self._own = heads, own

    def begin(self, forwarder: Forwarder, head: RequestHead) -> Rewriting:
        """A request came for the destination."""
        request_id, trace = "", None
        if self.request_id != "off":
            request_id = trace_context.request_id(head, forwarder.trusted or self.request_id == "pass", self._ids)
        if self.trace != "off":
            trace = trace_context.trace(head, forwarder.trusted or self.trace == "pass", self._ids)
        return Rewriting(self, forwarder, head, request_id, trace)

    def own_lines(self, *, secure: bool) -> bytes:
        """For an answer of lbproxy's own: what the presets say, each with its CRLF in front. Rules are for the backend's answers:
        a long Cache-Control of theirs must not make an error last."""
        return self._secure_own if secure else self._own


def _request_edits(folded: Folded, sends_id: bool, sends_trace: bool) -> RequestEdits | None:
    """None when nothing is done to requests."""
    drops = list(folded.drops)
    if sends_id:
        drops.append(_SEEN)
    if sends_trace:
        drops += ["traceparent", "tracestate"]
    return RequestEdits(Folded(tuple(drops), folded.lines, folded.swaps)) if drops or folded.lines or folded.swaps else None


class Rewriting:
    """Rewrites the heads of one request and its answers, over all its tries."""

    __slots__ = ("_forwarder", "_head", "_id_line", "_led", "_request_id", "_rewriter", "_trace", "findings", "heads", "speaks")

    def __init__(
        self, rewriter: Rewriter, forwarder: Forwarder, head: RequestHead, request_id: str, trace: trace_context.Trace | None
    ) -> None:
        """See Rewriter.begin."""
        self._rewriter = rewriter
        self._forwarder = forwarder
        self._head = head
        self._request_id = request_id
        self._id_line = b"\r\nX-Request-Id: " + request_id.encode("ascii") if request_id else b""
        self._trace = trace
        self.findings: Findings | None = None
        """Of the route's steps."""
        self.heads = rewriter.secure_heads if forwarder.secure(head) else rewriter.heads
        """Where the destination's response heads are read."""
        self._led: HeadsLedBack | None = None
        if rewriter.prefix is not None:
            asked = PrefixRequest(head.authority, rewriter.prefix.forward(head.path))
            self.heads = self._led = HeadsLedBack(self.heads, rewriter.prefix, asked)
        self.speaks = rewriter.shown or rewriter.varying is not None
        """The response gets `lines`."""

    def request(self, sent: bytes) -> bytes:
        """The head for the backend; `sent`: as the forwarder made it."""
        rewriter = self._rewriter
        if self.findings is not None:
            sent = self.findings.request(sent)
        edits = rewriter.edits
        if edits is not None:
            forwarder = self._forwarder
            known = forwarder.edited
            if known is not None and known[0] is sent and known[1] is edits:
                sent = known[2]
            else:
                edited = edits.apply(sent, self._facts(""))
                if edits.steady and len(edited) <= FIELDS_KEPT:
                    forwarder.edited = (sent, edits, edited)
                sent = edited
            if self._led is not None and edits.says_host:
                self._led.request = self._led.request._replace(host=host_of(sent))
        more = self._id_line if rewriter.sends_id else b""
        if self._trace is not None and rewriter.sends_trace:
            more += self._trace.lines()
        return sent[:-4] + more + END if more else sent

    def lines(self, backend: str) -> bytes:
        """For the backend's response: what is not the same for all responses, each line with its CRLF in front."""
        rewriter = self._rewriter
        shown = self._id_line if rewriter.shown else b""
        if self.findings is not None:
            shown += self.findings.answer_lines
        return shown if rewriter.varying is None else rewriter.varying.render(self._facts(backend)) + shown

    def own_lines(self) -> bytes:
        """For an answer of lbproxy's own."""
        rewriter = self._rewriter
        lines = rewriter.own_lines(secure=self._forwarder.secure(self._head))
        if self.findings is not None:
            lines += self.findings.answer_lines
        return lines + self._id_line if rewriter.shown else lines

    def id(self) -> str:
        """The request's; "" where it has none."""
        return self._request_id

    def logged(self) -> str:
        """For the access line: JSON members, each with a comma in front."""
        said = f',"request_id":"{self._request_id}"' if self._request_id else ""
        trace = self._trace
        if trace is not None:
            said += f',"trace_id":"{trace.trace_id}","span_id":"{trace.span_id}"'
            said += f',"parent_id":"{trace.parent_id}"' if trace.parent_id else ""
        return said if self.findings is None else said + self.findings.logged()

    def _facts(self, backend: str) -> RequestFacts:
        trace_id = "" if self._trace is None else self._trace.trace_id
        user = "" if self.findings is None else self.findings.user
        return RequestFacts(self._forwarder, self._head, self._request_id, trace_id, backend, user)


def own_lines(rewriting: Rewriting | None, without_route: Rewriter | None, forwarder: Forwarder, head: RequestHead | None) -> bytes:
    """For an answer of lbproxy's own to whom a destination's rewriting serves, or no destination at all."""
    if rewriting is not None:
        return rewriting.own_lines()
    return b"" if without_route is None else without_route.own_lines(secure=forwarder.secure(head))
