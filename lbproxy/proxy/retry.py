"""The rule of second tries: may this request be tried again? Pure.

A second try is safe when the first cannot have had an effect, or when an effect twice is the same as once:

1. Nothing was sent: always.
2. It is proved that the backend got nothing of what was sent (Stream.unseen): it had closed its side before. Or it has said that
   it did nothing with it (errors.Unprocessed).
3. The method is idempotent (RFC 9110 9.2.2).

That a reused connection died before its first response byte is no proof: nearly always the backend closed it as idle while our
request was on its way, but it may as well have done the work, and been killed. It says where a second try goes: in 2 and 3 once on
a fresh connection to the same backend, otherwise to another one.

In 2 and 3 the body must be at hand still. Never once response bytes were passed on. A pool says how many further tries there are (1
unless told otherwise); while nothing was sent, one more, because a connect that is refused costs nothing. Where it says none,
nothing is sent twice, not even in case 2.
"""

from __future__ import annotations

from enum import Enum

from lbproxy.balance.selection import Preference
from lbproxy.http.message import RequestHead

IDEMPOTENT = frozenset({b"GET", b"HEAD", b"OPTIONS", b"PUT", b"DELETE"})
BODY_IGNORED = frozenset({b"GET", b"HEAD", b"DELETE"})
"""Methods by which a body means nothing (RFC 9110 9.3). There are backends that do not read it then, and take it for the next
request on that connection, whose answer somebody else would get (CL.0): a connection that carried one carries no other request."""
REPLAY_LIMIT = 64 * 1024
"""Bytes of a body that are kept for a second try."""


class RetryVerdict(Enum):
    GIVE_UP = 1
    SAME_BACKEND = 2
    OTHER_BACKEND = 3


def repeatable(head: RequestHead) -> bool:
    """Whether a backend may fail this request without the client noticing."""
    return head.method in IDEMPOTENT and 0 <= head.body <= REPLAY_LIMIT


def preference(head: RequestHead) -> Preference:
    """What a pool has to know of a request that belongs to no backend."""
    return Preference(repeatable=repeatable(head))


def judge(
    *,
    method: bytes,
    nothing_sent: bool,
    reused: bool,
    died_unanswered: bool,
    unseen: bool,
    replayable: bool,
    tries: int,
    retries: int,
) -> RetryVerdict:
    """`tries`: backends tried so far, this one included; `retries`: further ones that the pool allows; `died_unanswered`: the
    connection ended before its first response byte; `unseen`: the backend got nothing of the request, or has not looked at it."""
    if not retries:
        return RetryVerdict.GIVE_UP
    if nothing_sent:
        return RetryVerdict.OTHER_BACKEND if tries < retries + 2 else RetryVerdict.GIVE_UP
    if not replayable or not (unseen or method in IDEMPOTENT):
        return RetryVerdict.GIVE_UP
    if reused and died_unanswered:
        return RetryVerdict.SAME_BACKEND
    return RetryVerdict.OTHER_BACKEND if tries < retries + 1 else RetryVerdict.GIVE_UP
