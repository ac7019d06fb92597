"""Rules of purges: from when on answers with a URL, a prefix or a tag are not what they were.

A purge writes one rule and is done: who finds an answer that is older than the last rule goes over the rules since, and takes it
for none if one fits. Later somebody sweeps (area.py), and rules that were applied to all that is stored are forgotten. Texts stand
as digests: a rule has the same size whatever is purged.
"""

from __future__ import annotations

import struct
from enum import IntEnum
from hashlib import blake2b

from lbproxy.cache.layout import RULE_SIZE, RULES, Stretch, Word
from lbproxy.cache.record import TAG

_RULE = struct.Struct("=QB3xI16s")


class Purge(IntEnum):
    """What a rule is about."""

    URL = 1
    PREFIX = 2
    TAG = 3
    ALL = 4


PORTS = {"http": ":80", "https": ":443"}


def digest_of(text: bytes) -> bytes:
    """As rules have it."""
    return blake2b(text, digest_size=16).digest()


def tag_of(tag: bytes) -> bytes:
    """As records have it."""
    return blake2b(tag, digest_size=TAG).digest()


def url_of(text: str, *, whole: bool) -> bytes:
    """As records have it, from how somebody types it: scheme and host small, without the scheme's own port; `whole`: with a path.
    Raises ValueError."""
    scheme, mark, rest = text.partition("://")
    host, slash, path = rest.partition("/")
    scheme, host = scheme.lower(), host.lower()
    if scheme not in PORTS or not mark or not host or not text.isascii() or any(char <= " " for char in text) or "#" in text:
        raise ValueError('wanted a URL such as "https://example.com/style.css"')
    if slash or whole:  # before that it is the beginning of a host, or of a port
        host = host.removesuffix(PORTS[scheme])
        slash = "/"
    return f"{scheme}://{host}{slash}{path}".encode("ascii")


class PurgeRules:
    """The rules in memory; the last RULES of them."""

    __slots__ = ("_start", "_view", "_words")

    def __init__(self, view: memoryview, words: memoryview[int], stretch: Stretch) -> None:
        self._view = view
        self._words = words
        self._start = stretch.start

    @property
    def room(self) -> int:
        """How many may be added before the next sweep ends."""
        return RULES - (self._words[Word.SEQUENCE] - self._words[Word.SWEPT])

    def add(self, what: Purge, text: bytes) -> int:
        """From now on; with the lock held, and `room`. Its number."""
        number = self._words[Word.SEQUENCE] % 2**62 + 1
        digest = tag_of(text).ljust(16, b"\0") if what is Purge.TAG else digest_of(text)
        _RULE.pack_into(self._view, self._at(number), number, what, len(text), digest)
        self._words[Word.SEQUENCE] = number
        return number

    def fit(self, since: int, last: int, url: bytes, tags: bytes) -> bool:
        """Whether a rule after `since`, up to `last`, is about an answer with this URL and these tags (digests, joined).

        Where a rule is not there any more that is so, too: nobody knows what it was about."""
        if last - since > RULES:
            return True
        known: dict[int, bytes] = {}
        for number in range(since + 1, last + 1):
            said, what, length, digest = _RULE.unpack_from(self._view, self._at(number))
            if said != number or what == Purge.ALL:
                return True
            if what == Purge.TAG:
                if any(tags[at : at + TAG] == digest[:TAG] for at in range(0, len(tags), TAG)):
                    return True
            elif length == len(url) or (what == Purge.PREFIX and length < len(url)):
                if length not in known:
                    known[length] = digest_of(url[:length])
                if known[length] == digest:
                    return True
        return False

    def _at(self, number: int) -> int:
        return self._start + number % RULES * RULE_SIZE
