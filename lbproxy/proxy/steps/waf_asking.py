"""Questions of [route.waf] to inspectors, about requests and answers; verdicts are counted, logged and told."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol

from lbproxy.config import model
from lbproxy.errors import Filtered, RequestError
from lbproxy.http.message import RequestHead
from lbproxy.proxy.downstream import Downstream
from lbproxy.proxy.steps.authorize import Count
from lbproxy.proxy.steps.step import Journey
from lbproxy.waf.arguments import too_many
from lbproxy.waf.messages import WafQuestion, WafVerdict

REQUEST, ANSWER = "waf", "waf_answer"
"""The steps' names in the log and in metrics."""
MOST_PATH = 256
MOST_COPIED = 32 * 1024 * 1024
"""Bytes that a worker copies at a time of what goes on meanwhile."""


class Inspectors(Protocol):
    """Whoever looks at requests (net/inspector_link.py)."""

    def ask(self, question: WafQuestion, /) -> WafVerdict | None: ...
    def tell(self, question: WafQuestion, on_verdict: Callable[[WafVerdict | None], None], /) -> bool: ...


Told = Callable[[str, str, WafVerdict], None]
"""Told of a request in which rules found something, or in the answer to it: its path, its client, and what they say."""


class Copies:
    """Room for what all routes of a worker copy to have it looked at while it goes on: an upload may take hours."""

    __slots__ = ("left",)

    def __init__(self, most: int = MOST_COPIED) -> None:
        self.left = most

    def take(self, size: int) -> bool:
        """False: there is none left."""
        if size > self.left:
            return False
        self.left -= size
        return True


class BodyCopy:
    """What is copied of one body."""

    __slots__ = ("_copies", "_data")

    def __init__(self, copies: Copies) -> None:
        self._copies = copies
        self._data = bytearray()

    def __len__(self) -> int:
        return len(self._data)

    def add(self, data: bytes) -> bool:
        """False: there is no room."""
        if not self._copies.take(len(data)):
            return False
        self._data += data
        return True

    def drop(self) -> bytes:
        """What there is of it, which is kept no longer."""
        data, self._data = bytes(self._data), bytearray()
        self._copies.left += len(data)
        return data


class WafAsker:
    """Asks about the requests and answers of one route, in one worker."""

    __slots__ = ("_arguments", "_fails_open", "_inspectors", "_rules", "_seconds", "_told", "copies", "count", "settings")

    def __init__(
        self, settings: model.WafConfig, rules: int, inspectors: Inspectors, count: Count, told: Told, copies: Copies | None = None
    ) -> None:
        """`rules`: the number of the set; `copies`: of the worker."""
        self.settings = settings
        self._rules = rules
        self._inspectors = inspectors
        self.count = count
        self._told = told
        self.copies = copies or Copies()
        self._arguments = settings.max_arguments
        self._fails_open = settings.on_failure == "pass"
        self._seconds = settings.timeout

    def question(self, head: RequestHead, downstream: Downstream, body: bytes) -> WafQuestion:
        """About a request. What stands behind its body goes on as well, and may be a field to whoever reads it."""
        client = downstream.forwarder.client(head).encode("ascii", "replace")
        block = head.block
        if downstream.body is not None and downstream.body.trailers:
            block += b"".join(b"\r\n%b: %b" % field for field in downstream.body.trailers)
        return WafQuestion(0, self._rules, self._seconds, client, head.method, head.target, block, body)

    def about_answer(self, head: RequestHead, downstream: Downstream, status: int, lines: bytes, text: bytes) -> WafQuestion:
        """`lines`: of its head, each with its CRLF in front."""
        asked = self.question(head, downstream, b"")._replace(status=status, answered=lines, text=text)
        if too_many(head.target, head.block, b"", self._arguments):
            return asked._replace(target=head.path)
        return asked

    def countable(self, head: RequestHead, body: bytes) -> bytes | None:
        """The body; b"" where that has too many arguments, None where the query has."""
        if not too_many(head.target, head.block, body, self._arguments):
            return body
        self.count(REQUEST, "over_cap")
        return None if too_many(head.target, head.block, b"", self._arguments) else b""

    # ---------------------------------------------------------------- to block

    def ask(self, step: str, journey: Journey, question: WafQuestion) -> None:
        """Wait for the verdict. Raises Filtered for what is not to pass, RequestError 503 when nobody says."""
        verdict = self._inspectors.ask(question)
        findings = journey.findings()
        if verdict is None:
            self.count(step, "failed")
            findings.note(step, "failed")
            if self._fails_open:
                return
            raise RequestError(503, "waf_unavailable", "nobody says in time what it is")
        findings.note(step, self._outcome(step, verdict, journey.head, journey.downstream))
        if verdict.blocked:
            status = 400 if step is REQUEST and verdict.status == 400 else 403
            raise Filtered(status, f"{step}_blocked", rule=",".join(rule for rule, _ in verdict.rules))

    # ---------------------------------------------------------------- to detect

    def tell(self, step: str, head: RequestHead, downstream: Downstream, question: WafQuestion) -> None:
        """Nobody waits for the verdict."""

        def later(verdict: WafVerdict | None) -> None:
            if verdict is None:
                self.count(step, "failed")
            else:
                self._outcome(step, verdict, head, downstream)

        if not self._inspectors.tell(question, later):
            self.count(step, "failed")

    def _outcome(self, step: str, verdict: WafVerdict, head: RequestHead, downstream: Downstream) -> str:
        """Counted and told; in a word."""
        if not verdict.rules and not verdict.blocked:
            self.count(step, "clean")
            return "clean"
        outcome = "blocked" if verdict.blocked else "found"
        self.count(step, outcome)
        path = head.path[:MOST_PATH].decode("latin-1")
        self._told(path, downstream.forwarder.client(head), verdict)
        score = f"/{verdict.score}" if verdict.score else ""
        return f"{outcome}{score}:" + ",".join(f"{rule}@{variable}" if variable else rule for rule, variable in verdict.rules[:5])
