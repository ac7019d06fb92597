"""The values of sticky cookies: a backend, in a word that only we can make and that tells nobody else anything.

The word is a MAC of the backend's identity under a secret of ours. So a client can neither choose a backend whose word it was not
given nor learn addresses, and a word of a backend that is gone, or of another secret, means nothing.
"""

from __future__ import annotations

import hmac
from base64 import urlsafe_b64encode
from collections.abc import Sequence

WORD_BYTES = 16
"""Of the MAC: 128 bits cannot be guessed."""


class Words:
    """The words that stand for one pool's backends in cookies."""

    def __init__(self, secret: bytes, identities: Sequence[str]) -> None:
        self._words = [_word(secret, identity) for identity in identities]
        self._indexes = {word: index for index, word in enumerate(self._words)}

    def of(self, index: int) -> bytes:
        """The word for a backend."""
        return self._words[index]

    def index(self, word: bytes) -> int:
        """The backend of a word; -1 when it means nothing."""
        return self._indexes.get(word, -1)


def _word(secret: bytes, identity: str) -> bytes:
    mac = hmac.digest(secret, identity.encode(), "sha256")
    return urlsafe_b64encode(mac[:WORD_BYTES]).rstrip(b"=")
