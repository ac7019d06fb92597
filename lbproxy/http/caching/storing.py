"""The choice of answers that are stored (RFC 9111 3), by the strict reading: what may be for one client alone is nobody else's.

Decided when an answer's head is here. What comes out is either why not, or all that a later request is compared with.
"""

from __future__ import annotations

from typing import NamedTuple

from lbproxy.http.caching.directives import Directives, of_answer, of_request
from lbproxy.http.caching.lifetime import Arrival, Defaults, Lifetime, explicit, lifetime_of
from lbproxy.http.caching.variants import names_of
from lbproxy.http.message import NO_BODY, RequestHead, ResponseHead

_BY_DEFAULT = frozenset({200, 203, 300, 301, 308, 404, 410})
"""Stored without a lifetime of their own, for default_ttl. Other statuses, errors above all, only when they say how long."""
_UNDERSTOOD = frozenset({200, 203, 204, 300, 301, 302, 303, 307, 308, 404, 405, 410, 414, 451, 500, 501, 502, 503, 504})
"""For must-understand (RFC 9111 5.2.2.3)."""
OF_THE_REQUEST = frozenset({401, 407, 408, 421, 425, 426, 428, 429, 431, 511})
"""They say nothing of the resource, but of one client, its connection, or fields that are in no key. RFC 6585 forbids to store four
of them, whatever they say of caching; of the others (RFC 9110 15.5, 8470 5.2) whoever asks next would get what was meant for
somebody else."""
_NEVER = frozenset({206, 304}) | OF_THE_REQUEST  # parts, and what stands for another answer


class StorableAnswer(NamedTuple):
    """An answer that may be stored."""

    lifetime: Lifetime
    names: tuple[bytes, ...]
    """Request fields that it depends on, in lower case and in order."""
    for_anybody: bool
    """It says that it may be given to requests with credentials (RFC 9111 3.5)."""
    immutable: bool
    """RFC 8246."""
    coded: bool = False
    """It was compressed here."""


Verdict = StorableAnswer | str
"""Or why it is not stored, in a word."""


def judge(request: RequestHead, personal: bool, answer: ResponseHead, at: Arrival, defaults: Defaults) -> Verdict:
    """`request`: as it was routed; `personal`: it is some user's by what steps found out; `answer`: as the backend said it."""
    if request.method != b"GET" or request.body != NO_BODY:
        return "method"
    if answer.status in _NEVER or answer.status < 200:
        return "status"
    if b"\r\nset-cookie:" in answer.lowered or b"\r\nset-cookie2:" in answer.lowered:
        return "set_cookie"
    if b"\r\ncontent-range:" in answer.lowered:
        return "range"
    if of_request(request).has(b"no-store"):
        return "request_no_store"
    said, targeted = of_answer(answer)
    refused = _forbidden(answer, said)
    if refused:
        return refused
    for_anybody = any(said.has(name) for name in (b"public", b"s-maxage", b"must-revalidate"))
    if (personal or credentials(request)) and not for_anybody:
        return "authorization"
    names = names_of(answer)
    if names is None:
        return "vary"
    lasts = explicit(answer, said, targeted, at.wall)
    if lasts is None and not said.has(b"no-cache"):
        pragma = b"\r\npragma:" in answer.lowered
        if not defaults.ttl or pragma or answer.status not in _BY_DEFAULT:
            return "no_lifetime"
    lifetime = lifetime_of(answer, said, targeted, at, defaults)
    if max(lifetime.fresh_until, lifetime.stale_until, lifetime.error_until) <= at.came and not validators(answer):
        return "stale"
    return StorableAnswer(lifetime, names, for_anybody, said.has(b"immutable"))


def _forbidden(answer: ResponseHead, said: Directives) -> str:
    """Why it says that it is not to be stored; "": it does not."""
    if said.has(b"private"):  # some fields of it alone, says an argument: the strict reading keeps none
        return "private"
    if said.has(b"must-understand"):
        return "" if answer.status in _UNDERSTOOD else "not_understood"
    return "no_store" if said.has(b"no-store") else ""


def credentials(request: RequestHead) -> bool:
    """It says whose it is (RFC 9111 3.5)."""
    return b"\r\nauthorization:" in request.lowered


def validators(answer: ResponseHead) -> bool:
    """It can be asked for again by condition."""
    return b"\r\netag:" in answer.lowered or b"\r\nlast-modified:" in answer.lowered
