"""Responses whose end is nobody's aim: events, or pictures, for as long as somebody looks. Pure."""

from __future__ import annotations

from lbproxy.http import fields
from lbproxy.http.message import ResponseHead

STREAMS = frozenset({b"text/event-stream", b"multipart/x-mixed-replace"})
"""Media types that are sent as something happens: their silence is no sign of a failure."""


def endless(answer: ResponseHead) -> bool:
    """Whether its body goes on until one side has enough, silent in between for as long as nothing happens."""
    if answer.endless < 0:  # heads are remembered, and so is this
        answer.endless = int(_endless(answer))
    return answer.endless == 1


def _endless(answer: ResponseHead) -> bool:
    if b"\r\ncontent-type:" not in answer.lowered:
        return False
    kind = next(fields.values(answer, b"content-type"), b"")
    return kind.partition(b";")[0].strip(b" \t").lower() in STREAMS


def unbuffered(answer: ResponseHead) -> bool:
    """Whether the backend asks for it to be passed on as it comes: nginx's X-Accel-Buffering."""
    return next(fields.values(answer, b"x-accel-buffering"), b"").lower() == b"no"
