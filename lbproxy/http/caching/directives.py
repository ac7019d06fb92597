"""Cache-Control (RFC 9111 5.2), and the fields that are for us alone (RFC 9213), which win over it.

Whoever cannot be understood is taken at the word that keeps less: an argument that is none is no time at all, of several the
shortest counts, and a field that cannot be taken apart forbids to store.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Protocol

from lbproxy.http.caching.structured import Item, dictionary
from lbproxy.http.fields import values
from lbproxy.http.message import RequestHead, ResponseHead

MOST_SECONDS = 2**31
"""RFC 9111 1.2.2: what is larger is this."""
TARGETED = (b"lbproxy-cache-control", b"cdn-cache-control")
"""RFC 9213 2.1, nearest first."""

_TOKEN = rb"[!#$%&'*+\-.^_`|~0-9A-Za-z]"
_DIRECTIVE = re.compile(
    rb"[ \t]*(?:(" + _TOKEN + rb'++)(?:(=)(?:"((?:[^"\\]|\\.)*)"|(' + _TOKEN + rb"++)))?)?[ \t]*(?:,|\Z)"
)
_NAME = re.compile(rb"[ \t]*(" + _TOKEN + rb"*+)[^,]*(?:,|\Z)")
_FORBIDDING = re.compile(rb"(?<![\w\-])(?:no-store|no-cache|private|must-revalidate|proxy-revalidate)(?![\w\-])")
"""What is meant wherever it stands in what cannot be taken apart: programs, and people, put semicolons and blanks between."""
_DIGITS = re.compile(rb"[0-9]++\Z")
_GARBLED = b"?"


class Directives(Protocol):
    """What was said, whatever it was written in."""

    def has(self, name: bytes) -> bool:
        """It is there, with or without an argument."""

    def seconds(self, name: bytes) -> int | None:
        """Its argument; None: it is not there."""


class CacheControl:
    """Cache-Control, of a request or an answer."""

    __slots__ = ("_said",)

    def __init__(self, fields: Iterable[bytes]) -> None:
        self._said: dict[bytes, list[bytes | None]] = {}
        for text in fields:
            self._read(text)

    def _read(self, text: bytes) -> None:
        at = 0
        while at < len(text):
            match = _DIRECTIVE.match(text, at)
            if match is not None:
                name, says, quoted, plain = match.groups()
                argument = None if says is None else plain if quoted is None else quoted
            else:
                match = _NAME.match(text, at)
                assert match is not None
                name, argument = match[1], _GARBLED
                for word in _FORBIDDING.findall(match[0].lower()):  # "max-age=60; private" and its kind
                    self._said.setdefault(word, []).append(_GARBLED)
                if b'"' in match[0]:  # who opens what he does not close may have said anything in it
                    self._said.setdefault(b"no-store", []).append(None)
            if name:
                self._said.setdefault(name.lower(), []).append(argument)
            at = match.end()

    def __bool__(self) -> bool:
        return bool(self._said)

    def has(self, name: bytes) -> bool:
        """See Directives."""
        return name in self._said

    def seconds(self, name: bytes) -> int | None:
        """See Directives. 0 where it cannot be read."""
        said = self._said.get(name)
        if said is None:
            return None
        return min(_seconds(argument) for argument in said)

    def bare(self, name: bytes) -> bool:
        """It is there without an argument."""
        return None in self._said.get(name, ())


def _seconds(argument: bytes | None) -> int:
    return 0 if argument is None or _DIGITS.match(argument) is None else counted(argument)


def counted(digits: bytes) -> int:
    """What they say, MOST_SECONDS at most."""
    digits = digits.lstrip(b"0")
    return min(int(digits or b"0"), MOST_SECONDS) if len(digits) <= 10 else MOST_SECONDS


class Targeted:
    """A field of RFC 9213, a dictionary of structured fields."""

    __slots__ = ("_said",)

    def __init__(self, said: dict[bytes, Item]) -> None:
        self._said = said

    def has(self, name: bytes) -> bool:
        """See Directives."""
        return self._said.get(name, False) is not False

    def seconds(self, name: bytes) -> int | None:
        """See Directives. What is no number of seconds is 0."""
        said = self._said.get(name)
        if said is None or said is False:
            return None
        return min(said, MOST_SECONDS) if isinstance(said, int) and said is not True and said >= 0 else 0


def of_request(head: RequestHead) -> CacheControl:
    """Nothing else said, Pragma counts (RFC 9111 5.4)."""
    found = CacheControl(values(head, b"cache-control"))
    if not found and any(b"no-cache" in each.lower() for each in values(head, b"pragma")):
        return CacheControl((b"no-cache",))
    return found


def of_answer(head: ResponseHead) -> tuple[Directives, bool]:
    """(what it says to us, whether that is in a field for us: then Expires says nothing, RFC 9213 2.2)."""
    for name in TARGETED:
        if b"\r\n" + name + b":" in head.lowered:
            said = dictionary(b", ".join(values(head, name)))
            if said:
                return Targeted(said), True
    return CacheControl(values(head, b"cache-control")), False
