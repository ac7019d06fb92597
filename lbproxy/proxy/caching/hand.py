"""The taking in hand of stored answers that were found: see at_hand.py."""

from __future__ import annotations

from typing import NamedTuple

from lbproxy.cache.interface import Storage, StoredEntry
from lbproxy.cache.watch import CacheWatch
from lbproxy.http.caching.heads import sized
from lbproxy.http.caching.stored import Fork, StoredAnswer, read
from lbproxy.proxy.caching.at_hand import MOST_BODY, AtHand, fork_at_hand
from lbproxy.remembered import Budget

MOST_AT_HAND = 1024 * 1024
"""Bytes of a worker, for all of its routes."""


class Hand(NamedTuple):
    """What a worker's routes hold of what all workers share."""

    watch: CacheWatch | None
    """None: nothing is held."""
    budget: Budget


EMPTY = Hand(None, Budget(0))


def answer_at_hand(
    watch: CacheWatch, fork: AtHand | None, digest: bytes, answer: StoredAnswer, entry: StoredEntry
) -> AtHand | None:
    """What was found under `digest`; `fork`: by which it was found. None: nobody knows where it stands."""
    if not entry.place:
        return None
    held = watch.hold(digest, entry)
    if held is None:
        return None
    life = answer.kept.lifetime
    raw = sized(answer.head, entry.size)
    away = entry.file or entry.size > MOST_BODY
    body, length = (b"", entry.size) if away else (entry.body, -1)
    return AtHand(held, None if fork is None else fork.held, raw, body, life.born, life.fresh_until, length, entry.file)


def fork_of(watch: CacheWatch, storage: Storage, key: bytes, digest: bytes) -> AtHand | None:
    """That by which one of the key's variants was found; None: it is another one by now."""
    entry = storage.get(key, False)
    known = None if entry is None else read(entry.meta)
    if entry is None or not isinstance(known, Fork) or digest not in known.variants:
        return None
    held = watch.hold(key, entry)
    return None if held is None else fork_at_hand(held, known.mark + key, known.names)
