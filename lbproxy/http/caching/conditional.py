"""Conditional requests and ranges, answered from a stored answer (RFC 9110 13, 14; RFC 9111 4.3)."""

from __future__ import annotations

import re
from enum import IntEnum
from typing import NamedTuple

from lbproxy.http.caching.dates import seconds_of
from lbproxy.http.fields import values
from lbproxy.http.forwarding import cut
from lbproxy.http.grammar import line_finder
from lbproxy.http.message import NO_BODY, RequestHead, ResponseHead

_TAG = re.compile(rb'[ \t]*((?:W/)?"[!\x23-\x7e\x80-\xff]*")[ \t]*(?:,|\Z)')
_RANGES = re.compile(rb"bytes=[ \t]*([0-9\-, \t]+)\Z", re.IGNORECASE)
_RANGE = re.compile(rb"([0-9]*)-([0-9]*)\Z")
MOST_RANGES = 100
_CONDITIONS = line_finder((b"if-none-match", b"if-modified-since", b"if-range", b"range"))
_FOR_THE_ORIGIN = (b"\r\nif-match:", b"\r\nif-unmodified-since:")


def for_the_origin(request: RequestHead) -> bool:
    """It has conditions that no cache may answer (RFC 9111 4.3.2)."""
    return any(mark in request.lowered for mark in _FOR_THE_ORIGIN)


def conditional(request: RequestHead) -> bool:
    """It wants less than a whole answer, or none, in some cases."""
    return _CONDITIONS.search(request.lowered) is not None


def unconditional(request: RequestHead, more: bytes = b"") -> RequestHead:
    """The same request for a whole answer; `more`: lines that are put on, each with its CRLF in front."""
    return request.taken_in(cut(request.block, request.lowered, _CONDITIONS) + more, NO_BODY)


def asking_anew(answer: ResponseHead, coded: bool = False) -> bytes:
    """The conditions by which a stored answer is validated (RFC 9111 4.3.1); b"": it has nothing to be known by. `coded`: it was
    compressed here, and its ETag weakened: not every backend compares as RFC 9110 13.1.2 has it, so that it is asked by both."""
    tag, modified = _tag_of(answer), list(values(answer, b"last-modified"))
    lines = b"" if tag is None else b"\r\nIf-None-Match: " + tag
    if coded and tag is not None and tag.startswith(b"W/"):
        lines += b", " + tag[2:]
    return lines + (b"\r\nIf-Modified-Since: " + modified[0] if len(modified) == 1 else b"")


def same(stored: ResponseHead, anew: ResponseHead) -> bool:
    """Whether a 304 means the stored answer (RFC 9111 4.3.4)."""
    tag = _tag_of(anew)
    if tag is not None:
        known = _tag_of(stored)
        return known is not None and _weak(known) == _weak(tag)
    said = list(values(anew, b"last-modified"))
    return not said or said == list(values(stored, b"last-modified"))


def unchanged(request: RequestHead, answer: ResponseHead, now: float) -> bool:
    """Whether the client has it already: If-None-Match by the weak comparison, and only without that If-Modified-Since
    (RFC 9110 13.2.2). `now`: of the wall clock."""
    if answer.status != 200:
        return False
    if b"\r\nif-none-match:" in request.lowered:
        tag = _tag_of(answer)
        said = b",".join(values(request, b"if-none-match"))
        return said.strip(b" \t") == b"*" or (tag is not None and _weak(tag) in _tags(said))
    since = list(values(request, b"if-modified-since"))
    modified = list(values(answer, b"last-modified")) or list(values(answer, b"date"))
    if len(since) != 1 or len(modified) != 1:
        return False
    wanted, is_from = seconds_of(since[0], now), seconds_of(modified[0], now)
    return wanted is not None and is_from is not None and is_from <= wanted


def _tag_of(head: ResponseHead) -> bytes | None:
    said = list(values(head, b"etag"))
    if len(said) != 1:
        return None
    match = _TAG.match(said[0])
    return match[1] if match is not None and match.end() == len(said[0]) else None


def _weak(tag: bytes) -> bytes:
    return tag[2:] if tag.startswith(b"W/") else tag


def _tags(said: bytes) -> set[bytes]:
    found, at = set(), 0
    while at < len(said):
        match = _TAG.match(said, at)
        if match is None:
            break  # what is no list says nothing more
        found.add(_weak(match[1]))
        at = match.end()
    return found


class BodyWanted(IntEnum):
    """How much of a whole answer a request asks for."""

    WHOLE = 0
    PART = 1
    NOTHING = 2
    """There is no such part."""


class RangePart(NamedTuple):
    wants: BodyWanted
    first: int = 0
    last: int = -1
    """Both included."""


_WHOLE = RangePart(BodyWanted.WHOLE)


def part_of(request: RequestHead, answer: ResponseHead, length: int, now: float) -> RangePart:
    """What a Range asks for of `length` bytes (RFC 9110 14.2). What is no range of bytes, or more than one, gets all."""
    if answer.status != 200 or request.method != b"GET" or b"\r\nrange:" not in request.lowered:
        return _WHOLE
    said = list(values(request, b"range"))
    match = _RANGES.match(said[0]) if len(said) == 1 else None
    if match is None or not _if_range(request, answer, now):
        return _WHOLE
    listed = [each.strip(b" \t") for each in match[1].split(b",")]
    listed = [each for each in listed if each]
    if not listed or len(listed) > MOST_RANGES:
        return _WHOLE
    read = [_read(each, length) for each in listed]
    if any(each is None for each in read):
        return _WHOLE
    found = sorted(each for each in read if each is not None and each[0] <= each[1])
    if not found:
        return RangePart(BodyWanted.NOTHING)
    first, last = found[0]
    for begin, end in found[1:]:
        if begin > last + 1:
            return _WHOLE  # several parts, and whoever asks for them has to take all
        last = max(last, end)
    return RangePart(BodyWanted.PART, first, last)


def _read(text: bytes, length: int) -> tuple[int, int] | None:
    """(first, last) of one; None: that is no range; the last before the first: there is no such part."""
    match = _RANGE.match(text)
    if match is None or text == b"-" or len(text) > 100:
        return None
    first, last = match.groups()
    if not first:
        suffix = min(int(last), length)
        return (length - suffix, length - 1) if suffix else (1, 0)
    begin = int(first)
    end = int(last) if last else length - 1
    if last and end < begin:
        return None
    return (begin, min(end, length - 1)) if begin < length else (1, 0)


def _if_range(request: RequestHead, answer: ResponseHead, now: float) -> bool:
    """Whether a part of this answer is of use (RFC 9110 13.1.5), by the strong comparison."""
    said = list(values(request, b"if-range"))
    if not said:
        return True
    if len(said) != 1:
        return False
    if said[0].startswith((b'"', b"W/")):
        return said[0].startswith(b'"') and said[0] == _tag_of(answer)
    modified, date = list(values(answer, b"last-modified")), list(values(answer, b"date"))
    if len(modified) != 1 or len(date) != 1 or modified[0] != said[0]:
        return False
    changed, made = seconds_of(modified[0], now), seconds_of(date[0], now)
    return changed is not None and made is not None and made > changed  # RFC 9110 8.8.2.2
