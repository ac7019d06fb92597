"""May this request be tried again? Pure.

A second try is safe when the first cannot have had an effect, or when an effect twice is the same as once:

1. Nothing was sent: always.
2. The connection was a reused one and died before its first response byte: nearly always the backend closed it as idle while our
   request was on its way. Once, on a fresh connection to the same backend.
3. The method is idempotent (RFC 9110 9.2.2): on another backend.

In 2 and 3 the body must be at hand still. Never once response bytes were passed on. Two tries in all; while nothing was sent,
three, because a connect that is refused costs nothing.
"""

from __future__ import annotations

from enum import Enum

IDEMPOTENT = frozenset({b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE"})
MAX_TRIES = 2
MAX_TRIES_NOTHING_SENT = 3
REPLAY_LIMIT = 64 * 1024
"""Bytes of a body that are kept for a second try."""


class Verdict(Enum):
    GIVE_UP = 1
    SAME_BACKEND = 2
    OTHER_BACKEND = 3


def judge(*, method: bytes, nothing_sent: bool, reused: bool, died_unanswered: bool, replayable: bool, tries: int) -> Verdict:
    """`tries`: backends tried so far, this one included; `died_unanswered`: the connection ended before its first response byte."""
    if nothing_sent:
        return Verdict.OTHER_BACKEND if tries < MAX_TRIES_NOTHING_SENT else Verdict.GIVE_UP
    if not replayable:
        return Verdict.GIVE_UP
    if reused and died_unanswered:
        return Verdict.SAME_BACKEND
    if method in IDEMPOTENT and tries < MAX_TRIES:
        return Verdict.OTHER_BACKEND
    return Verdict.GIVE_UP
