"""An answer's body, from its backend to its client: read a piece, write it whole, read the next. One piece is held at most."""

from __future__ import annotations

from lbproxy.http.edits import unruled
from lbproxy.http.message import ResponseHead
from lbproxy.http.trailers import NONE, passing, size
from lbproxy.proxy.response_body import SourceFailed
from lbproxy.proxy.response_head import MAX_RESPONSE_HEAD
from lbproxy.proxy.sink import Sink
from lbproxy.proxy.upstream import Upstream


def relay(
    upstream: Upstream, sink: Sink, answer: ResponseHead, out: bytes, lines: bytes, silence: float, ruled: tuple[str, ...]
) -> None:
    """The head (see Sink) and the body behind it; `silence`: seconds that the backend may say nothing; `ruled`: names that do not
    pass as trailers.

    Raises SourceFailed when it breaks off, and what the sink raises. None is read before there is room for it: thousands of clients
    that take nothing hold what the kernel has for them, and nothing here (they held 220 KiB each).
    """
    if upstream.over:
        sink.whole(answer, out, upstream.first, lines)
        return
    first, upstream.first = [upstream.first], b""
    sink.begin(answer, out, lines, first)
    piece = b""
    while not upstream.over:
        piece = b""  # given away: nothing is held while room, and then the next one, is waited for
        limit = sink.room()
        piece = upstream.piece(limit, silence)
        if not upstream.over:
            sink.piece(piece)
    trailers, upstream.trailers = upstream.trailers, NONE
    if trailers:
        passed = passing(trailers)
        if passed is None or size(trailers) > MAX_RESPONSE_HEAD:
            raise SourceFailed("response_bad_trailers")
        trailers = unruled(passed, ruled) if ruled else passed
    sink.end(piece, trailers)
