"""Conversations on their way from a worker to whoever makes packets of them: messages that a socket keeps apart. Pure.

A message is a flag byte and a part of a conversation; the first one says whose it is and how much follows. A worker tells one
conversation after the other, so that whoever reads keeps at most one that is not whole. Small ones go several at a time, as one
message: a turn of the reader's for each would cost more than the conversation does. What a worker says is read as if a stranger had
said it: workers speak with strangers.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from typing import NamedTuple

LARGEST = 64 * 1024
"""Bytes of a message."""
MOST = 40 * 1024 * 1024
"""Of a conversation: two bodies of the largest `max_body`, and what heads there may be."""
LEAST_MTU = 1280
"""RFC 8200 5: less no link of IPv6 has."""
LINK_RAW = 101
"""pcap's number for packets that begin with IP."""
PCAP_HEAD = struct.pack("<LHHlLLL", 0xA1B2C3D4, 2, 4, 0, 0, 65535, LINK_RAW)
"""With it begins each file or stream of packets that are made of them (draft-ietf-opsawg-pcap)."""
_FIRST, _LAST, _SEVERAL = 1, 2, 4
_PART = struct.Struct("!L")
PART = _PART.size
"""Bytes that a message takes more among several."""
_HEAD = struct.Struct("!BBBHdLL")
"""Sizes of tap's name, client and server; port, time, sizes of request and answer."""
_ROOM = LARGEST - 1


class Tapped(NamedTuple):
    """A conversation, as it is told to whoever reads."""

    client: str
    server: str
    port: int
    request: bytes
    answer: bytes
    ended: float
    """Wall clock."""

    @property
    def size(self) -> int:
        """What it takes while it waits, about."""
        return len(self.request) + len(self.answer) + 512


def messages(name: str, tapped: Tapped) -> Iterator[bytes]:
    """Of one conversation, for the tap with that name."""
    words = [word.encode("ascii", "replace")[:255] for word in (name, tapped.client, tapped.server)]
    head = _HEAD.pack(*map(len, words), tapped.port, tapped.ended, len(tapped.request), len(tapped.answer))
    data = b"".join((head, *words, tapped.request, tapped.answer))
    if len(data) <= _ROOM:
        yield b"\x03" + data
        return
    for at in range(0, len(data), _ROOM):
        flags = (0 if at else _FIRST) | (_LAST if at + _ROOM >= len(data) else 0)
        yield bytes((flags,)) + data[at : at + _ROOM]


def together(messages: Sequence[bytes]) -> bytes:
    """Several as one, which must not be larger than LARGEST."""
    return b"".join((bytes((_SEVERAL,)), *(part for each in messages for part in (_PART.pack(len(each)), each))))


def apart(message: bytes) -> Iterable[bytes]:
    """The messages that this one is. Raises ValueError for what no worker of ours says."""
    if message[:1] != bytes((_SEVERAL,)):
        return (message,)
    found, at = [], 1
    while at < len(message):
        begin = at + PART
        if len(message) < begin or len(message) < (at := begin + _PART.unpack_from(message, begin - PART)[0]):
            raise ValueError("cut off")
        found.append(message[begin:at])
    return found


class Gathering:
    """What one worker says, put together."""

    def __init__(self) -> None:
        self._parts: list[bytes] = []
        self._size = 0
        self.torn = 0
        """Conversations that did not come whole: whoever told them, or who listened before us, has ended on the way."""

    def take(self, message: bytes) -> tuple[str, Tapped] | None:
        """The conversation that ends with this one, and of which tap. Raises ValueError for what no worker of ours says."""
        flags = message[0] if message else 0
        if flags & _FIRST:
            self.torn += bool(self._parts)
            self._parts, self._size = [], 0
        elif not self._parts:
            self.torn += bool(flags & _LAST)
            return None
        self._parts.append(message[1:])
        self._size += len(message) - 1
        if self._size > MOST:
            self._parts = []
            raise ValueError("a conversation larger than any")
        if not flags & _LAST:
            return None
        data, self._parts = b"".join(self._parts), []
        return _read(data)


def _read(data: bytes) -> tuple[str, Tapped]:
    try:
        *sizes, port, ended, request, answer = _HEAD.unpack_from(data)
    except struct.error as error:
        raise ValueError("no head") from error
    if len(data) != _HEAD.size + sum(sizes) + request + answer or not 0 <= ended < 2**32:
        raise ValueError("not as large as it says")
    at, words = _HEAD.size, []
    for size in sizes:
        words.append(data[at : at + size].decode("ascii"))
        at += size
    return words[0], Tapped(words[1], words[2], port, data[at : at + request], data[at + request :], ended)
