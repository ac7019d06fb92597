"""Texts with stars, "/wp-*" and "*curl*": what a route may ask for without a regular expression.

Python's `re` backtracks, so that one careless pattern and one long field could hold up a worker for minutes. A star stands for any
bytes, also none, slashes included; the work is one search per piece between stars, linear in the text.
"""

from __future__ import annotations


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

    def covers(self, other: bytes) -> bool:
        """Whether all that fits another text with stars fits this one. What is in doubt is taken for no.

        A star of the other one, taken for a letter like any, is one that only a star of ours can stand for, since no piece of ours
        has a star in it: and then ours stands for whatever that star does.
        """
        return self.matches(other)
