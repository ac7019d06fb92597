"""[route.waf]: rules look for attacks in requests, in processes of their own; this asks them, and does what the route says.

To block, a request's body is taken in first, up to a cap: a backend gets nothing that was not looked at. To detect, a copy of what
passes is sent behind it, and nobody waits; what comes of that is an event.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Protocol

from lbproxy.config import model
from lbproxy.errors import Filtered, RequestError
from lbproxy.http.message import RequestHead
from lbproxy.proxy.downstream import Downstream
from lbproxy.proxy.spool import Spool
from lbproxy.proxy.steps.authorize import Count
from lbproxy.proxy.steps.step import Course, Journey, Step
from lbproxy.waf.arguments import too_many
from lbproxy.waf.messages import Question, Verdict

STEP = "waf"
MOST_PATH = 256


class Inspectors(Protocol):
    """Whoever looks at requests (net/inspector_link.py)."""

    def ask(self, question: Question, /) -> Verdict | None: ...
    def tell(self, question: Question, on_verdict: Callable[[Verdict | None], None], /) -> bool: ...


Told = Callable[[str, str, Verdict], None]
"""Told of a request in which rules found something: its path, its client, and what they say."""


class WafStep(Step):
    """Has the requests of one route looked at, in one worker."""

    __slots__ = (
        "_arguments", "_block", "_count", "_fails_open", "_inspectors", "_most", "_passes_over", "_paths", "_rules", "_seconds",
        "_told",
    )  # fmt: skip

    def __init__(self, settings: model.Waf, rules: int, inspectors: Inspectors, count: Count, told: Told) -> None:
        """`rules`: the number of the set."""
        self._rules = rules
        self._inspectors = inspectors
        self._count = count
        self._told = told
        self._block = settings.mode == "block"
        self._most = settings.max_body
        self._arguments = settings.max_arguments
        self._passes_over = settings.over_cap == "pass"
        self._fails_open = settings.on_failure == "pass"
        self._seconds = settings.timeout
        self._paths = tuple(path.encode("ascii") for path in settings.exclude_paths)

    def begin(self, journey: Journey) -> Course | None:
        """See Step. Raises Filtered 403 and 413, RequestError 503, and what takes in a body raises."""
        head, downstream = journey.head, journey.downstream
        if self._paths and head.path.startswith(self._paths):
            return None
        if not self._block:
            self._follow(head, downstream)
            return None
        body = self._body(head, downstream)
        looked_at = self._countable(head, body)
        findings = journey.findings()
        if looked_at is None or len(looked_at) < len(body):
            if not self._passes_over:
                raise Filtered(413, "waf_too_many_arguments")
            if looked_at is None:
                findings.note(STEP, "over_cap")
                return None
        verdict = self._inspectors.ask(self._question(head, downstream, looked_at))
        if verdict is None:
            self._count(STEP, "failed")
            findings.note(STEP, "failed")
            if self._fails_open:
                return None
            raise RequestError(503, "waf_unavailable", "nobody says in time what it is")
        findings.note(STEP, self._outcome(verdict, head, downstream))
        if verdict.blocked:
            raise Filtered(400 if verdict.status == 400 else 403, "waf_blocked", rule=",".join(rule for rule, _ in verdict.rules))
        return None

    def _question(self, head: RequestHead, downstream: Downstream, body: bytes) -> Question:
        client = downstream.forwarder.client(head).encode("ascii", "replace")
        return Question(0, self._rules, self._seconds, client, head.method, head.target, head.block, body)

    def _body(self, head: RequestHead, downstream: Downstream) -> bytes:
        """All of it; b"" also for one that is longer, where that may pass. Raises Filtered 413."""
        body = downstream.body
        if body is None:
            return b""
        if head.body <= self._most:
            if head.expect_continue and not body.received:
                body.invited = True
                downstream.invite()
            spool = Spool(None, self._most + 1, 0, downstream.service.on_buffer_failed)
            body.take_in(spool)
            if body.done and spool.size <= self._most:
                return b"".join(spool.read(index) for index in range(len(spool)))
        self._count(STEP, "over_cap")
        if self._passes_over:
            return b""
        raise Filtered(413, "waf_body_too_large")

    def _countable(self, head: RequestHead, body: bytes) -> bytes | None:
        """The body; b"" where that has too many arguments, None where the query has."""
        if not too_many(head.target, head.block, body, self._arguments):
            return body
        self._count(STEP, "over_cap")
        return None if too_many(head.target, head.block, b"", self._arguments) else b""

    def _outcome(self, verdict: Verdict, head: RequestHead, downstream: Downstream) -> str:
        """Counted and told; in a word."""
        if not verdict.rules and not verdict.blocked:
            self._count(STEP, "clean")
            return "clean"
        outcome = "blocked" if verdict.blocked else "found"
        self._count(STEP, outcome)
        path = head.path[:MOST_PATH].decode("latin-1")
        self._told(path, downstream.forwarder.client(head), verdict)
        score = f"/{verdict.score}" if verdict.score else ""
        return f"{outcome}{score}:" + ",".join(f"{rule}@{variable}" if variable else rule for rule, variable in verdict.rules[:5])

    # ---------------------------------------------------------------- without waiting

    def _follow(self, head: RequestHead, downstream: Downstream) -> None:
        if downstream.body is None or head.body > self._most:
            if downstream.body is not None:
                self._count(STEP, "over_cap")
            self._send(head, downstream, b"")
            return
        copy: bytearray | None = bytearray()

        def watch(data: bytes, last: bool) -> None:
            nonlocal copy
            if copy is None:
                return
            if len(copy) + len(data) > self._most:  # an upload may go on for days, and nothing of it is kept
                copy = None
                self._count(STEP, "over_cap")
                self._send(head, downstream, b"")
                return
            copy += data
            if last:
                self._send(head, downstream, bytes(copy))

        downstream.body.watch(watch)

    def _send(self, head: RequestHead, downstream: Downstream, body: bytes) -> None:
        looked_at = self._countable(head, body)
        if looked_at is not None:
            question = self._question(head, downstream, looked_at)
            if not self._inspectors.tell(question, partial(self._later, head, downstream)):
                self._count(STEP, "failed")

    def _later(self, head: RequestHead, downstream: Downstream, verdict: Verdict | None) -> None:
        if verdict is None:
            self._count(STEP, "failed")
        else:
            self._outcome(verdict, head, downstream)
