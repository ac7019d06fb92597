"""Bytes that are kept beside a stored body: an answer's head with what was decided about it, or the fork of a key's variants."""

from __future__ import annotations

import struct
from typing import NamedTuple

from lbproxy.http.caching.lifetime import Lifetime
from lbproxy.http.caching.storing import StorableAnswer
from lbproxy.http.caching.variants import CODING, CODINGS, KEY_BYTES, MOST_VARIANTS

_ANSWER, _FORK = b"A", b"F"
NONCE = 8
_LIFE = struct.Struct("<dddd")
_FOR_ANYBODY, _IMMUTABLE, _CODED = 1, 2, 4


class StoredAnswer(NamedTuple):
    """One answer, but for its body."""

    kept: StorableAnswer
    head: bytes
    """See heads.stored."""

    def written(self) -> bytes:
        """As bytes. Of the names nothing is kept: the variant's key has them in it."""
        flags = (_FOR_ANYBODY if self.kept.for_anybody else 0) | (_IMMUTABLE if self.kept.immutable else 0)
        flags |= _CODED if self.kept.coded else 0
        return _ANSWER + _LIFE.pack(*self.kept.lifetime) + bytes((flags,)) + self.head


class Fork(NamedTuple):
    """Where a key's answers depend on more of the request: on what, and which there are."""

    names: tuple[bytes, ...]
    variants: tuple[bytes, ...]
    """Their keys, oldest first."""
    mark: bytes
    """NONCE bytes, drawn anew for each fork, and a part of its variants' keys: where the fork is gone, so are they."""

    def written(self) -> bytes:
        """As bytes."""
        return _FORK + self.mark + b"".join(self.variants) + b"\n" + b",".join(self.names)

    def tells_apart(self, names: tuple[bytes, ...]) -> bool:
        """Whether an answer that depends on `names` can be one of its variants."""
        return set(names) <= set(self.names)

    def with_variant(self, key: bytes) -> tuple[Fork, tuple[bytes, ...]]:
        """(the fork with one more, keys of those that have to make room)."""
        rest = tuple(each for each in self.variants if each != key)
        room = max(0, len(rest) + 1 - (MOST_VARIANTS * CODINGS if CODING in self.names else MOST_VARIANTS))
        return self._replace(variants=(*rest[room:], key)), rest[:room]


def read(written: bytes) -> StoredAnswer | Fork | None:
    """None: it is neither, and worth nothing."""
    kind, rest = written[:1], written[1:]
    if kind == _ANSWER and len(rest) > _LIFE.size:
        flags = rest[_LIFE.size]
        said = (bool(flags & flag) for flag in (_FOR_ANYBODY, _IMMUTABLE, _CODED))
        kept = StorableAnswer(Lifetime(*_LIFE.unpack_from(rest)), (), *said)
        return StoredAnswer(kept, rest[_LIFE.size + 1 :])
    if kind == _FORK:
        at = rest.rfind(b"\n")
        mark, keys = rest[:NONCE], rest[NONCE:at]
        if at >= NONCE and len(keys) % KEY_BYTES == 0 and len(keys) <= KEY_BYTES * MOST_VARIANTS * CODINGS:
            variants = tuple(keys[i : i + KEY_BYTES] for i in range(0, len(keys), KEY_BYTES))
            return Fork(tuple(rest[at + 1 :].split(b",")), variants, mark)
    return None
