"""Response heads as they come and as they leave, remembered by their bytes.

Backends repeat themselves: while a second lasts (Date), a hot resource is answered with the same head again and again. The
verdict on a head and the head that is passed on are pure functions of its bytes, so the second time a look-up takes the place of
both. What is remembered is bounded in number and size; a backend that varies its heads costs a miss each, which is a hundredth of
the parse.
"""

from __future__ import annotations

from lbproxy.http.forwarding import response
from lbproxy.http.h1.response import parse_response
from lbproxy.http.message import FIELDS_KEPT, ResponseHead

HEADS_KEPT = 256
"""When there are more, all are forgotten: with Date in them they are stale after a second anyway."""


class ResponseHeads:
    """One per worker."""

    __slots__ = ("_known", "_max_fields")

    def __init__(self, max_fields: int) -> None:
        """`max_fields`: more in one head are refused."""
        self._max_fields = max_fields
        self._known: dict[bytes, tuple[ResponseHead, bytes]] = {}

    def read(self, raw: bytes, method: bytes) -> tuple[ResponseHead, bytes]:
        """(the checked head, the head to pass on when nothing of ours is to be added). Raises UpstreamError.

        `method` is the request's: a response to HEAD has another body than the same bytes in answer to GET.
        """
        if method == b"HEAD":
            head = parse_response(raw, method, self._max_fields)
            return head, response(head, b"")
        known = self._known.get(raw)
        if known is None:
            head = parse_response(raw, method, self._max_fields)
            known = head, response(head, b"")
            if len(raw) <= FIELDS_KEPT:
                if len(self._known) >= HEADS_KEPT:
                    self._known.clear()
                self._known[raw] = known
        return known
