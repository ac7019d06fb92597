"""Interim answers (1xx), passed on until the final head is there.

A backend may send as many as it likes, over as long a time: 102 while it works, 103 with hints. What is limited is how much of them
comes in how much time, so that nobody keeps a worker busy with them: AT_ONCE bytes, and RATE a second beyond.
"""

from __future__ import annotations

from lbproxy.errors import RefusedAnswer, UpstreamError
from lbproxy.http.heads import KnownHead, ResponseHeads
from lbproxy.http.message import RequestHead
from lbproxy.http.upgrade import fault
from lbproxy.proxy.downstream import Downstream
from lbproxy.proxy.upstream import Upstream
from lbproxy.streams import NEVER

AT_ONCE = 64 * 1024
RATE = 4 * 1024


class Interim:
    """Passes on the interim responses (1xx) of one try."""

    __slots__ = ("_downstream", "_head", "_patience", "closes")

    def __init__(self, downstream: Downstream, head: RequestHead, patience: float) -> None:
        """`patience`: seconds that each next head may take, while no body is on its way."""
        self._downstream = downstream
        self._head = head
        self._patience = patience
        self.closes = False
        """One of them said so, or was mended."""

    def carry(self, upstream: Upstream, known: KnownHead, heads: ResponseHeads) -> KnownHead:
        """`known`: the first of them. The final head, or that of a 101."""
        downstream, head, body = self._downstream, self._head, self._downstream.body
        clock = downstream.service.clock
        begun, came = clock(), 0
        while known.head.status < 200:
            if known.head.status == 101:
                if reason := fault(head, known.head, body is None or body.sent):
                    raise RefusedAnswer(reason, "the backend switched protocols without being asked to, or to another one")
                break
            self.closes = self.closes or not known.head.keep_alive
            came += len(known.raw)
            if came > AT_ONCE + RATE * (clock() - begun):
                raise RefusedAnswer("response_endless_interim", f"{came} bytes of interim responses in {clock() - begun:.1f} s")
            if body is not None and known.head.status == 100:
                body.invited = True
            if not downstream.begun:  # else it has a part of the same answer already (caching/resume.py)
                downstream.interim(known)
            pumping = body is not None and body.pumping
            upstream.stream.deadline = NEVER if pumping else clock() + self._patience
            try:
                known = upstream.answer(heads, head.method)
            except UpstreamError as error:
                if error.reason == "response_closed":  # but it had begun to answer: it did not die as an idle connection does
                    raise UpstreamError(502, "response_truncated", "the backend closed after an interim response") from error
                raise
        return known
