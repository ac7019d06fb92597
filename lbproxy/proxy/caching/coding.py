"""Answers that are stored compressed: one variant for each coding, and one as it came.

Of those whom a route would give different codings each *kind* has its own variant: they are told apart as if Vary named a request
field of ours, which no client can say (CODING). So what is stored is what leaves: a hit costs no compressing, and its head has the
ETag, the length and the Vary of what is sent. Parts are given from the variant as it came alone.
"""

from __future__ import annotations

from typing import NamedTuple

from lbproxy.http.caching.storing import StorableAnswer
from lbproxy.http.caching.variants import CODING
from lbproxy.http.compression import VARY, Compressible, coded, varies_already
from lbproxy.http.message import RequestHead, ResponseHead
from lbproxy.proxy.steps.compress import Compression

AS_IT_CAME = b"identity"


class Storable(NamedTuple):
    """An answer as it is stored."""

    kept: StorableAnswer
    head: bytes
    """See heads.stored."""
    coding: bytes = b""
    """That its body is to be compressed with."""


def marked(compression: Compression | None, head: RequestHead, sent: bytes) -> bytes:
    """`sent`: a request as its backend gets it; the same with a line for which kind it is of."""
    if compression is None:
        return sent
    return b"%b%b: %b\r\n\r\n" % (sent[:-2], CODING, compression.stored_kind(head) or AS_IT_CAME)


def storable(
    compression: Compression | None, asked: RequestHead, said: ResponseHead, kept: StorableAnswer, head: bytes
) -> Storable:
    """`asked`: as the client asks; `said`: as the backend said it; `head`: of that, by heads.stored."""
    if compression is None:
        return Storable(kept, head)
    kind = compression.stored_kind(asked)
    verdict = compression.stored_verdict(asked, said, kind)
    if verdict is Compressible.AS_IT_IS:
        return Storable(kept, head)
    names = tuple(sorted({*kept.names, CODING}))
    if verdict is Compressible.COMPRESS:
        return Storable(kept._replace(names=names, coded=True), coded(head, said, kind), kind)
    return Storable(kept._replace(names=names), head if varies_already(said) else head + VARY)


def varying(kept: StorableAnswer, said: ResponseHead) -> bytes:
    """What the first client has to be told besides, who gets the answer as it came."""
    return VARY if CODING in kept.names and not kept.coded and not varies_already(said) else b""


def still_varies(before: ResponseHead, said: ResponseHead, head: bytes) -> bytes:
    """A stored `head` that a 304 has changed: `before` it depended on Accept-Encoding, and it does still, whatever the backend has
    `said` of that, since it was we who made it so."""
    lost = b"\r\nvary:" in said.lowered and varies_already(before) and not varies_already(said)
    return head + VARY if lost else head
