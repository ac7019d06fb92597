"""Rules by which a route refuses requests for what they say: method, path and fields.

Patterns are texts with stars ("/wp-*", "*curl*"), not regular expressions: Python's `re` backtracks, so that one careless pattern
and one long field could hold up a worker for minutes. A star stands for any bytes, also none, slashes included; the work is one
search per piece between stars, linear in the text. A path is looked at in its normal form (target.py), the one that is forwarded,
so no spelling of it passes by; names of fields and their values are compared without regard to case.
"""

from __future__ import annotations

from typing import NamedTuple

from lbproxy.config.model import Refuse
from lbproxy.http.fields import values
from lbproxy.http.message import RequestHead


class Glob:
    """A text with stars, ready to be matched against the whole of something."""

    __slots__ = ("_exact", "_head", "_pieces", "_tail")

    def __init__(self, pattern: bytes) -> None:
        head, *rest = pattern.split(b"*")
        self._exact = not rest
        self._head = head
        self._tail = rest.pop() if rest else b""
        self._pieces = [piece for piece in rest if piece]

    def matches(self, text: bytes) -> bool:
        """The leftmost place of each piece is as good as any, so nothing is ever tried twice."""
        if self._exact:
            return text == self._head
        end = len(text) - len(self._tail)
        at = len(self._head)
        if end < at or not text.startswith(self._head) or not text.endswith(self._tail):
            return False
        for piece in self._pieces:
            found = text.find(piece, at, end)
            if found < 0:
                return False
            at = found + len(piece)
        return True


class Rule(NamedTuple):
    """Refuses the requests that all of it fits; what is None fits every request."""

    name: str
    methods: frozenset[bytes] | None
    path: Glob | None
    header: bytes | None
    value: Glob | None
    without: bytes | None

    def refuses(self, head: RequestHead) -> bool:
        """Whether everything fits."""
        if self.methods is not None and head.method not in self.methods:
            return False
        if self.path is not None and not self.path.matches(head.path):
            return False
        if self.without is not None and any(True for _ in values(head, self.without)):
            return False
        if self.header is None:
            return True
        found = values(head, self.header)
        return any(self.value is None or self.value.matches(value.lower()) for value in found)


def make_rule(refuse: Refuse) -> Rule:
    """From the configuration."""
    return Rule(
        refuse.name,
        frozenset(method.encode() for method in refuse.methods) or None,
        None if refuse.path is None else Glob(refuse.path.encode()),
        None if refuse.header is None else refuse.header.lower().encode(),
        None if refuse.value is None else Glob(refuse.value.encode("latin-1").lower()),
        None if refuse.without is None else refuse.without.lower().encode(),
    )
