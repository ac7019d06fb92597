"""The destination of a route's requests: where they go, and what is special about them.

What a route wants of its requests beyond a pool hangs here, None where nothing was configured: the everyday request pays one test.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

from lbproxy.balance.pool import Pool
from lbproxy.config import model
from lbproxy.http.forwarding import Forwarder
from lbproxy.http.message import RequestHead
from lbproxy.proxy.rewriter import Rewriter

if TYPE_CHECKING:
    from lbproxy.proxy.steps.step import Step


class Chooser(Protocol):
    """What a route has whose requests are shared out (split.py)."""

    def choose(self, head: RequestHead, forwarder: Forwarder, before: Destination | None) -> Destination:
        """One that has no chooser. `before`: where the connection belongs, if it belongs to a backend."""


class Destination:
    """Where one route's requests go, in one worker; made at the worker's start, changed by nobody."""

    __slots__ = (
        "announces",
        "answers",
        "body_idle",
        "buffer_file",
        "buffer_requests",
        "buffer_responses",
        "connect",
        "lines",
        "max_body",
        "pool",
        "request",
        "response_head",
        "rewriter",
        "split",
        "steps",
        "tunnel",
        "write_stall",
    )

    def __init__(
        self,
        pool: Pool | None,
        timeouts: model.TimeoutsConfig,
        rewriter: Rewriter | None = None,
        max_body: int = 0,
        steps: tuple[Step, ...] | None = None,
        answers: bool = False,
        lines: bytes = b"",
        split: Chooser | None = None,
    ) -> None:
        """`pool`: None where a step answers instead of a backend, or `split` chooses another destination for each request;
        `timeouts`: what holds here, wider tables included; `rewriter`: what is done to header fields beyond the everyday;
        `max_body`: bytes of a request's body, 0: any number; `steps`: in their order, None for none; `answers`: also clients that
        end their side while they wait; `lines`: what each answer is given, with a CRLF in front."""
        self.split = split
        self.lines = lines
        self.answers = answers
        self.connect = timeouts.connect  # each by itself, and no other object to go through: every request asks for them
        self.response_head = timeouts.response_head
        self.body_idle = timeouts.body_idle
        self.write_stall = timeouts.write_stall
        self.tunnel = timeouts.tunnel
        self.request = timeouts.request
        self.announces = ""
        """The version of the PROXY header that its backends expect; "": none."""
        self.buffer_requests = self.buffer_responses = self.buffer_file = 0
        self.pool: Pool = pool  # type: ignore[assignment]  # where there is none nobody asks
        self.rewriter = rewriter
        self.max_body = max_body
        self.steps = steps

    def buffers(self, settings: model.PoolConfig) -> Destination:
        """Itself, buffering, and telling backends, what the pool says."""
        self.announces = settings.proxy_protocol or ""
        self.buffer_requests = settings.buffer_requests
        self.buffer_responses = settings.buffer_responses
        self.buffer_file = settings.buffer_file
        return self
