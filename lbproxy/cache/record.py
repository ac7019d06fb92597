"""One stored answer as bytes of a ring."""

from __future__ import annotations

import struct
from typing import NamedTuple

from lbproxy.cache.interface import DIGEST, MOST_META, MOST_TAGS, MOST_URL
from lbproxy.cache.layout import LINE

_HEADER = struct.Struct("=IIQ16sQQQHHBBxx")
HEADER = _HEADER.size
"""Bytes: lengths of the whole and of the body here, position, digest, sequence, size of the body, file, lengths of meta and URL,
tags, kind. Not more than LINE, so that there is room for one wherever there is room at all."""
TAG = 8
"""Bytes of a tag's digest."""
ANSWER, PADDING = 1, 2
NOBODY = bytes(DIGEST)


class EntryRecord(NamedTuple):
    """The header of one, checked."""

    length: int
    digest: bytes
    sequence: int
    size: int
    file: int
    tags: int
    """Where they begin, from the record's start."""
    url: int
    meta: int
    body: int
    end: int


def length_of(parts: tuple[bytes, bytes, bytes, bytes]) -> int:
    """Of the record that `build` makes of them."""
    return -(-(HEADER + sum(map(len, parts))) // LINE) * LINE


def build(position: int, digest: bytes, sequence: int, size: int, file: int, parts: tuple[bytes, bytes, bytes, bytes]) -> bytes:
    """`parts`: tags' digests joined, URL, meta, body (b"" where it is in a file)."""
    tags, url, meta, body = parts
    length = length_of(parts)
    head = _HEADER.pack(length, len(body), position, digest, sequence, size, file, len(meta), len(url), len(tags) // TAG, ANSWER)
    return (head + b"".join(parts)).ljust(length, b"\0")


def padding(position: int, length: int) -> bytes:
    """The header of what is left at a ring's end."""
    return _HEADER.pack(length, 0, position, NOBODY, 0, 0, 0, 0, 0, 0, PADDING)


def moved(data: bytes, position: int) -> bytes:
    """The same record for another place."""
    return data[:8] + struct.pack("=Q", position) + data[16:]


def length_at(view: memoryview, at: int, position: int, room: int) -> int:
    """The length of the record there, padding or not; 0: there is none."""
    length, _, said = struct.unpack_from("=IIQ", view, at)
    return length if said == position and HEADER <= length <= room and not length % LINE else 0


def read(view: memoryview, at: int, position: int, room: int) -> EntryRecord | None:
    """The answer whose record is there, of which at most `room` bytes are the ring's; None: there is none."""
    length, body, said, digest, sequence, size, file, meta, url, tags, kind = _HEADER.unpack_from(view, at)
    if said != position or kind != ANSWER or length > room or meta > MOST_META or url > MOST_URL or tags > MOST_TAGS:
        return None
    at_url = HEADER + tags * TAG
    at_meta = at_url + url
    at_body = at_meta + meta
    end = at_body + body
    if end > length or length % LINE or (file == 0 and size != body):
        return None
    return EntryRecord(length, digest, sequence, size, file, HEADER, at_url, at_meta, at_body, end)
