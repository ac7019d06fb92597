"""[route.waf]: rules look for attacks in requests, in processes of their own; this asks them, and does what the route says.

To block, a request's body is taken in first, up to a cap: a backend gets nothing that was not looked at. To detect, a copy of what
passes is sent behind it, and nobody waits; what comes of that is an event. Answers are waf_answer.py's.
"""

from __future__ import annotations

from lbproxy.config import model
from lbproxy.errors import Filtered
from lbproxy.http.findings import every_spelling
from lbproxy.http.message import RequestHead
from lbproxy.proxy.downstream import Downstream
from lbproxy.proxy.spool import Spool
from lbproxy.proxy.steps.authorize import Count
from lbproxy.proxy.steps.step import Course, Journey, Step
from lbproxy.proxy.steps.waf_answer import WafAnswer
from lbproxy.proxy.steps.waf_asking import REQUEST, BodyCopy, Copies, Inspectors, Told, WafAsker

CODINGS = ("Accept-Encoding",)
_CODED = every_spelling(("Content-Encoding",))


class WafStep(Step):
    """Has the requests of one route looked at, and the answers, in one worker."""

    __slots__ = ("_answers", "_asking", "_block", "_most", "_passes_over", "_paths")

    def __init__(
        self, settings: model.WafConfig, rules: int, inspectors: Inspectors, count: Count, told: Told, copies: Copies | None = None
    ) -> None:
        """See Asking."""
        self._asking = WafAsker(settings, rules, inspectors, count, told, copies)
        self._block = settings.mode == "block"
        self._most = settings.max_body
        self._passes_over = settings.over_cap == "pass"
        self._paths = tuple(path.encode("ascii") for path in settings.exclude_paths)
        self._answers = settings.responses

    def begin(self, journey: Journey) -> Course | None:
        """See Step. Raises Filtered 403 and 413, RequestError 503, and what takes in a body raises."""
        head, downstream = journey.head, journey.downstream
        if self._paths and head.path.startswith(self._paths):
            return None
        copied = None
        if self._block:
            self._look(journey, head, downstream)
        else:
            copied = self._follow(head, downstream)
        if not self._answers:
            return copied
        journey.findings().claim(CODINGS)  # whoever looks reads plain text; [route.compress] comes behind
        return WafAnswer(self._asking, journey, copied)

    def _look(self, journey: Journey, head: RequestHead, downstream: Downstream) -> None:
        body = self._body(journey, head, downstream)
        looked_at = self._asking.countable(head, body)
        if looked_at is None or len(looked_at) < len(body):
            journey.findings().note(REQUEST, "over_cap")
            if not self._passes_over:
                raise Filtered(413, "waf_too_many_arguments")
            if looked_at is None:
                return
        self._asking.ask(REQUEST, journey, self._asking.question(head, downstream, looked_at))

    def _body(self, journey: Journey, head: RequestHead, downstream: Downstream) -> bytes:
        """All of it; b"" also for one that is longer, or compressed, where that may pass. Raises Filtered 413, 415."""
        body = downstream.body
        if body is None:
            return b""
        refused = Filtered(413, "waf_body_too_large")
        if coded(head):
            refused = Filtered(415, "waf_body_coded")
        elif head.body <= self._most:
            if head.expect_continue and not body.received:
                body.invited = True
                downstream.invite()
            spool = Spool(None, self._most + 1, 0, downstream.service.on_buffer_failed)
            body.take_in(spool)
            if body.done and spool.size <= self._most:
                return b"".join(spool.read(index) for index in range(len(spool)))
        self._asking.count(REQUEST, "over_cap")
        journey.findings().note(REQUEST, "over_cap")
        if self._passes_over:
            return b""
        raise refused

    # ---------------------------------------------------------------- without waiting

    def _follow(self, head: RequestHead, downstream: Downstream) -> Course | None:
        body = downstream.body
        if body is None or head.body > self._most or coded(head):
            if body is not None:
                self._asking.count(REQUEST, "over_cap")
            self.send(head, downstream, b"")
            return None
        copied = Copied(self, self._asking, head, downstream)
        body.watch(copied.watch)
        return copied

    def send(self, head: RequestHead, downstream: Downstream, body: bytes) -> None:
        """To be looked at by and by."""
        looked_at = self._asking.countable(head, body)
        if looked_at is not None:
            question = self._asking.question(head, downstream, looked_at)
            self._asking.tell(REQUEST, head, downstream, question)


def coded(head: RequestHead) -> bool:
    """Its body is compressed, and rules would look at what nobody means: there are applications that expand what they get."""
    lines = (head.lowered[match.start() : match.end()] for match in _CODED.finditer(head.lowered))
    return any(line.partition(b":")[2].strip(b" \t") not in (b"", b"identity") for line in lines)


class Copied(Course):
    """A request whose body is copied while it goes on."""

    __slots__ = ("_asking", "_copy", "_downstream", "_head", "_step")

    def __init__(self, step: WafStep, asking: WafAsker, head: RequestHead, downstream: Downstream) -> None:
        self._step = step
        self._asking = asking
        self._head = head
        self._downstream = downstream
        self._copy: BodyCopy | None = BodyCopy(asking.copies)

    def watch(self, data: bytes, last: bool) -> None:
        """See request_body.Watch. An upload may go on for days: once it is too long nothing of it is kept."""
        copy = self._copy
        if copy is None:
            return
        if len(copy) + len(data) > self._asking.settings.max_body:
            self._head_alone("over_cap")
        elif not copy.add(data):
            self._head_alone("skipped")
        elif last:
            self._copy = None
            self._step.send(self._head, self._downstream, copy.drop())

    def _head_alone(self, why: str) -> None:
        self._asking.count(REQUEST, why)
        self.end()
        self._step.send(self._head, self._downstream, b"")

    def end(self) -> None:
        """See Course."""
        copy, self._copy = self._copy, None
        if copy is not None:
            copy.drop()
