"""The rules of compression: which answers, for whom, and what their heads say then (RFC 9110 8.4, 12.5.3). Pure.

An answer that could be compressed says so in Vary whether it is or not: a cache on the way must not give the one to those who want
the other. What was signed or measured by its bytes (digests, signatures) is left as it is, and so is what whoever made it wants
untouched (no-transform) or has compressed himself.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from enum import IntEnum
from typing import NamedTuple

from lbproxy.http.endless import STREAMS
from lbproxy.http.fields import values
from lbproxy.http.forwarding import response
from lbproxy.http.grammar import END
from lbproxy.http.h1.response import parse_response
from lbproxy.http.heads import COPIES, OBJECTS
from lbproxy.http.message import RequestHead, ResponseHead
from lbproxy.remembered import Budget

_GRPC = b"application/grpc"
VARY = b"\r\nVary: Accept-Encoding"
_KEPT = re.compile(
    rb"\r\n(?:content-encoding|content-range|content-digest|repr-digest|digest|content-md5|signature"
    rb"|x-amz-checksum-[^:\r]*+|x-goog-hash|x-ms-blob-content-md5):"
)
"""In lower case: fields that say something of the body's bytes as they are."""
_NO_TRANSFORM = re.compile(rb"(?<![\w\-])no-transform(?![\w\-])", re.IGNORECASE)  # whatever stands between directives
_CUT = re.compile(rb"\r\n(?i:content-length|accept-ranges|transfer-encoding|connection|keep-alive):[^\r\n]*")
_LENGTH = re.compile(rb"\r\n(?i:content-length):[^\r\n]*")
_STRONG = re.compile(rb'(\r\n(?i:etag):[ \t]*)(?=")')
_WEIGHT = re.compile(rb"^q=(0(?:\.\d{0,3})?|1(?:\.0{0,3})?)$", re.IGNORECASE)
MOST_ASKED = 1024
"""Bytes of Accept-Encoding that are read; what is longer is not asked for by anybody who wants an answer."""
_KEPT_BYTES = 1024 * 1024
_MOST_FIELDS = 1_000_000  # it was counted when it came


class Compressible(IntEnum):
    """What an answer may be, whoever wants it."""

    AS_IT_IS = 0
    """And nobody would have got it otherwise."""
    VARIES = 1
    """As it is, for this request: another one gets it compressed."""
    COMPRESS = 2
    UNMEASURED = 3
    """A head alone, of what is compressed for who wants all of it: nobody knows its length (RFC 9110 8.6)."""


def wanted(head: RequestHead, offered: tuple[bytes, ...]) -> bytes:
    """The coding among those `offered`, best first, that whoever asks likes best; b"" for none, which is what somebody means who
    says nothing (RFC 9110 12.5.3 would allow any; programs that say nothing often understand none)."""
    said = b",".join(values(head, b"accept-encoding"))
    return _best(said, offered) if said and len(said) <= MOST_ASKED else b""


def _best(said: bytes, offered: tuple[bytes, ...]) -> bytes:
    weights = dict(_weights(said))
    others = weights.get(b"*", 0.0)
    best, found = weights.get(b"identity", 0.0), b""
    for coding in offered:
        weight = weights.get(coding, others)
        if weight > 0 and (weight > best or (not found and weight == best)):
            best, found = weight, coding
    return found


def _weights(said: bytes) -> Iterable[tuple[bytes, float]]:
    """What cannot be read is as if it was not there."""
    for item in said.lower().split(b","):
        name, *parameters = (part.strip(b" \t") for part in item.split(b";"))
        weight = 1.0
        if parameters:
            match = _WEIGHT.match(parameters[0])
            if match is None or len(parameters) > 1:
                continue
            weight = float(match[1])
        if name:
            yield (b"gzip" if name == b"x-gzip" else name), weight


class Types:
    """A set of media types, such as "text/css" and, for all that begin so, "text/*"."""

    __slots__ = ("_families", "_whole")

    def __init__(self, types: Iterable[str]) -> None:
        """In lower case."""
        listed = [each.encode("ascii") for each in types]
        self._families = frozenset(each[:-1] for each in listed if each.endswith(b"/*"))
        self._whole = frozenset(each for each in listed if not each.endswith(b"/*"))

    def has(self, answer: ResponseHead) -> bool:
        """Whether what the answer carries is of one of them; what says nothing, or two things, is of none."""
        said = list(values(answer, b"content-type"))
        if len(said) != 1:
            return False
        kind = said[0].partition(b";")[0].strip(b" \t").lower()
        if kind in self._whole:
            return True
        # What never ends is named or not meant, and gRPC compresses its messages itself: a family takes neither along.
        return kind[: kind.find(b"/") + 1] in self._families and kind not in STREAMS and not kind.startswith(_GRPC)


def judge(request: RequestHead, answer: ResponseHead, coding: bytes, types: Types, least: int) -> Compressible:
    """`coding`: what the client wants; `least`: bytes below which nothing is gained."""
    if answer.status == 304:  # says no type as a rule, and has to vary as the answer did that it stands for (RFC 9110 15.4.5)
        said = types.has(answer) or b"\r\ncontent-type:" not in answer.lowered
        return Compressible.VARIES if said else Compressible.AS_IT_IS
    if answer.status < 200 or answer.status in (204, 205) or not types.has(answer):
        return Compressible.AS_IT_IS
    if answer.status == 206:
        return Compressible.VARIES
    head = request.method == b"HEAD"
    if 0 <= (_told(answer) if head else answer.body) < least:
        return Compressible.AS_IT_IS
    if _KEPT.search(answer.lowered) is not None or _untouched(answer):
        return Compressible.AS_IT_IS
    if not coding or _ranged(request) or _untouched(request):
        return Compressible.VARIES
    return Compressible.UNMEASURED if head else Compressible.COMPRESS


def _told(answer: ResponseHead) -> int:
    """The length that a head alone tells of; -1: it does not."""
    said = next(values(answer, b"content-length"), b"")
    return int(said) if said.isdigit() else -1


def whole(request: RequestHead) -> bool:
    """It wants neither a part nor what nobody has touched."""
    return not _ranged(request) and not _untouched(request)


def _untouched(head: RequestHead | ResponseHead) -> bool:
    """RFC 9111 5.2.1.6, 5.2.2.6."""
    return b"no-transform" in head.lowered and any(_NO_TRANSFORM.search(said) for said in values(head, b"cache-control"))


def _ranged(request: RequestHead) -> bool:
    return b"\r\nrange:" in request.lowered


def varies_already(answer: ResponseHead) -> bool:
    """It names Accept-Encoding, or everything."""
    said = b",".join(values(answer, b"vary")).lower()
    return any(name.strip(b" \t") in (b"accept-encoding", b"*") for name in said.split(b","))


class Recoded(NamedTuple):
    """A head as it leaves with a compressed body."""

    answer: ResponseHead
    out: bytes


class CompressedHeads:
    """Heads of compressed answers, remembered: backends repeat themselves."""

    __slots__ = ("_budget", "_known")

    def __init__(self, budget: Budget | None = None) -> None:
        """`budget`: for what is remembered; None: its own."""
        self._budget = budget or Budget(_KEPT_BYTES)
        self._known: dict[tuple[bytes, bytes, int], Recoded] = self._budget.draws({})

    def __len__(self) -> int:
        return len(self._known)

    def unmeasured(self, answer: ResponseHead, out: bytes) -> Recoded:
        """The head of `answer` without its length."""
        key = (out, b"", 0)
        found = self._known.get(key)
        if found is None:
            head = answer.edited(_LENGTH.sub(b"", answer.block), answer.nominated, answer.undated)
            found = Recoded(head, _LENGTH.sub(b"", out[:-4]) + END)
            self._budget.keep(self._known, key, found, COPIES * len(out) + OBJECTS)
        return found

    def recoded(self, answer: ResponseHead, out: bytes, coding: bytes, length: int = -1) -> Recoded:
        """`out`: the head of `answer` as it would leave; `length`: bytes of the compressed body; -1: nobody knows yet."""
        key = (out, coding, length)
        found = self._known.get(key)
        if found is None:
            found = _recode(answer, out, coding, length)
            self._budget.keep(self._known, key, found, COPIES * len(out) + OBJECTS)
        return found


def coded(head: bytes, answer: ResponseHead, coding: bytes) -> bytes:
    """A head with no empty line behind it, of `answer`, as it is with a compressed body whose length nobody says."""
    block = _STRONG.sub(rb"\1W/", _CUT.sub(b"", head)) + b"\r\nContent-Encoding: " + coding
    return block if varies_already(answer) else block + VARY


def _recode(answer: ResponseHead, out: bytes, coding: bytes, length: int) -> Recoded:
    block = coded(out[:-4], answer, coding)
    ends = b"\r\nTransfer-Encoding: chunked" if length < 0 else b"\r\nContent-Length: %d" % length
    head = parse_response(block + ends + END, b"GET", _MOST_FIELDS)
    return Recoded(head, response(head, b"", b""))
