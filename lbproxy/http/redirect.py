"""The target of a route's `redirect`: a text with placeholders, filled in per request.

The text is checked where it is read (config): its host is written there, or is the one that was asked, and nothing that a client
chooses stands where it could become one. What is filled in keeps that so: a path begins with one slash, and what stands behind the
question mark is percent-encoded as a value, unless it is the query as a whole.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from lbproxy.http.prefix import Prefix

_PLACEHOLDER = re.compile(r"\{([a-z]+)\}")
_IN_PATH = re.compile(rb"[^A-Za-z0-9._~!$&'()*+,;=:@/%-]")
"""RFC 3986 3.3: what a path may not hold as it is; browsers and some libraries send it all the same."""
_IN_QUERY = re.compile(rb"[^A-Za-z0-9._~!$&'()*+,;=:@/?%-]")
_IN_VALUE = re.compile(rb"[^A-Za-z0-9._~/-]")
"""A value's own signs, the percent sign among them, are not those of the query around it."""


class Values(NamedTuple):
    """What stands in one request for the placeholders of a target."""

    scheme: bytes
    host: bytes
    path: bytes
    query: bytes


def _encoded(text: bytes, unfit: re.Pattern[bytes]) -> bytes:
    return unfit.sub(lambda found: b"%%%02X" % found[0][0], text)


class _Piece(NamedTuple):
    """A placeholder, and the text behind it."""

    name: str
    as_value: bool
    text: bytes


class RedirectTarget:
    """The target of one route's redirect, ready to be filled in."""

    __slots__ = ("_first", "_fragment", "_keeps_query", "_pieces", "_prefix")

    def __init__(self, to: str, prefix: Prefix | None = None) -> None:
        """`prefix`: what is done to the path before it is filled in."""
        self._prefix = prefix
        front, sharp, fragment = to.partition("#")
        self._fragment = (sharp + fragment).encode()
        self._keeps_query = "?" not in front
        self._first, *rest = _PLACEHOLDER.split(front)  # text, name, text, name, text ...
        self._pieces: list[_Piece] = []
        before = self._first
        for name, text in zip(rest[::2], rest[1::2], strict=True):
            whole_query = name == "query" and before.endswith(("?", "&")) and text[:1] in ("", "&")
            self._pieces.append(_Piece(name, "?" in before and not whole_query, text.encode()))
            before += text

    def render(self, values: Values) -> bytes:
        """The value of Location: ASCII without blanks or control bytes, since a request's line has none."""
        out = [self._first.encode()]
        for piece in self._pieces:
            said = self._said(piece.name, values)
            if piece.as_value:
                said = _encoded(said, _IN_VALUE)
            elif piece.name == "path":
                said = _encoded(said, _IN_PATH)
            elif piece.name == "query":
                said = _encoded(said, _IN_QUERY)
            out += (said, piece.text)
        if self._keeps_query and values.query:
            out += (b"?", _encoded(values.query, _IN_QUERY))
        return b"".join(out) + self._fragment

    def _said(self, name: str, values: Values) -> bytes:
        if name == "path":
            path = values.path if values.path[:1] == b"/" else b"/"  # "*" is none
            return path if self._prefix is None else self._prefix.forward(path)
        return values.host if name == "host" else values.scheme if name == "scheme" else values.query
