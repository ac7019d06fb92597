"""The use of a stored answer for a request (RFC 9111 4, 5861 3)."""

from __future__ import annotations

import re
from enum import IntEnum

from lbproxy.http.caching.directives import of_request
from lbproxy.http.caching.storing import StorableAnswer
from lbproxy.http.grammar import line_finder, with_twins
from lbproxy.http.message import NO_BODY, RequestHead

OVERRIDES = (b"x-http-method", b"x-http-method-override", b"x-method-override")
"""Another method for backends that look there: not this GET's answer, nor one for anybody else's."""
_OVERRIDES = re.compile(with_twins(line_finder(OVERRIDES)))
_SAFE = (b"GET", b"HEAD", b"OPTIONS")  # TRACE is refused


class Use(IntEnum):
    """What becomes of a stored answer, for a request."""

    HIT = 0
    STALE = 1
    """Given out, and asked for anew meanwhile."""
    VALIDATE = 2
    """Asked for anew first."""
    NONE = 3
    """Not for this request, nor is that for others."""


def looked_up(request: RequestHead) -> bool:
    """Whether what is stored may answer it at all."""
    if request.method not in (b"GET", b"HEAD") or request.body != NO_BODY or request.upgrade:
        return False
    return _OVERRIDES.search(request.lowered) is None


def unsafe(request: RequestHead) -> bool:
    """It may change what is stored (RFC 9110 9.2.1)."""
    return request.method not in _SAFE


def use_of(kept: StorableAnswer, request: RequestHead, personal: bool, now: float, respects: bool) -> Use:
    """`personal`: it is some user's; `now`: monotonic; `respects`: what the client says of caching counts."""
    if personal and not kept.for_anybody:
        return Use.NONE
    life = kept.lifetime
    if respects and _wants_anew(kept, request, now):
        return Use.VALIDATE
    if now < life.fresh_until:
        return Use.HIT
    return Use.STALE if now < life.stale_until else Use.VALIDATE


def _wants_anew(kept: StorableAnswer, request: RequestHead, now: float) -> bool:
    """RFC 9111 5.2.1; 8246 2: a reload by max-age=0 gets what never changes as it is, one by no-cache does not."""
    said = of_request(request)
    if not said:
        return False
    if said.has(b"no-cache"):
        return True
    life = kept.lifetime
    most, least = said.seconds(b"max-age"), said.seconds(b"min-fresh")
    if most is not None and life.age(now) >= most and not (kept.immutable and now < life.fresh_until):
        return True
    return least is not None and life.fresh_until - now < least


def only_if_cached(request: RequestHead) -> bool:
    """Nobody else is to be asked (RFC 9111 5.2.1.7)."""
    return of_request(request).has(b"only-if-cached")
