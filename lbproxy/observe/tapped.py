"""Conversations on their way from a worker to whoever makes packets of them: messages that a socket keeps apart. Pure.

A message is a flag byte and a part of a conversation; the first one says whose it is and how much follows. A worker tells one
conversation after the other, so that whoever reads keeps at most one that is not whole. Small ones go several at a time, as one
message: a turn of the reader's for each would cost more than the conversation does. What a worker says is read as if a stranger had
said it: workers speak with strangers.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator, Sequence
from functools import lru_cache
from typing import NamedTuple

LARGEST = 64 * 1024
"""Bytes of a message."""
MOST = 40 * 1024 * 1024
"""Of a conversation: two bodies of the largest `max_body`, and what heads there may be."""
_FIRST, _LAST, _SEVERAL = 1, 2, 4
_PART = struct.Struct("!L")
PART = _PART.size
"""Bytes that a message takes more among several."""
_HEAD = struct.Struct("!BBBBHdLL")
"""Flags; sizes of tap's name, client and server; port, time, sizes of request and answer."""
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


@lru_cache(maxsize=256)
def _words(name: str, client: str, server: str) -> tuple[int, int, int, bytes]:
    """Their sizes, and all of them."""
    words = [word.encode("ascii", "replace")[:255] for word in (name, client, server)]
    return len(words[0]), len(words[1]), len(words[2]), b"".join(words)


def only_message(name: str, tapped: Tapped) -> bytes:
    """All of a conversation, for the tap with that name; for one that fits."""
    request, answer = tapped.request, tapped.answer
    of_name, of_client, of_server, words = _words(name, tapped.client, tapped.server)
    head = _HEAD.pack(_FIRST | _LAST, of_name, of_client, of_server, tapped.port, tapped.ended, len(request), len(answer))
    return b"".join((head, words, request, answer))


def messages(name: str, tapped: Tapped) -> Iterator[bytes]:
    """Of one conversation, for the tap with that name."""
    data = only_message(name, tapped)
    if len(data) <= LARGEST:
        yield data
        return
    for at in range(1, len(data), _ROOM):
        flags = (_FIRST if at == 1 else 0) | (_LAST if at + _ROOM >= len(data) else 0)
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

    __slots__ = ("_parts", "_size", "torn")

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
        if flags & _LAST and not self._parts:
            return _read(message)
        self._parts.append(message[1:] if self._parts else message)
        self._size += len(self._parts[-1])
        if self._size > MOST:
            self._parts = []
            raise ValueError("a conversation larger than any")
        if not flags & _LAST:
            return None
        data, self._parts = b"".join(self._parts), []
        return _read(data)


@lru_cache(maxsize=256)
def _apart(words: bytes, of_name: int, of_client: int) -> tuple[str, str, str]:
    told = words.decode("ascii")
    return told[:of_name], told[of_name : of_name + of_client], told[of_name + of_client :]


def _read(data: bytes) -> tuple[str, Tapped]:
    try:
        _, of_name, of_client, of_server, port, ended, request, answer = _HEAD.unpack_from(data)
    except struct.error as error:
        raise ValueError("no head") from error
    begin = _HEAD.size + of_name + of_client + of_server
    end = begin + request
    if len(data) != end + answer or not 0 <= ended < 2**32:
        raise ValueError("not as large as it says")
    name, client, server = _apart(data[_HEAD.size : begin], of_name, of_client)
    return name, Tapped(client, server, port, data[begin:end], data[end:], ended)
