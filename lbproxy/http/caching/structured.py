"""Dictionaries of structured fields (RFC 8941 3.2, 4.2.2). One that does not fit is no dictionary, as if it was not there."""

from __future__ import annotations

import re

Item = int | float | bool | bytes | tuple["Item", ...]
"""An integer, a decimal, a boolean, a string or token or byte sequence as it is written, an inner list."""

_KEY = re.compile(rb"[a-z*][a-z0-9_\-.*]*+")
_NUMBER = re.compile(rb"(-?)([0-9]{1,15})(?:\.([0-9]{1,3}))?(?![0-9.])")
_STRING = re.compile(rb'"(?:[ !#-\[\]-~]|\\["\\])*"')
_TOKEN = re.compile(rb"[A-Za-z*][!#$%&'*+\-.^_`|~0-9A-Za-z:/]*+")
_BYTES = re.compile(rb":[A-Za-z0-9+/=]*+:")
_BOOLEAN = re.compile(rb"\?([01])")
_COMMA = re.compile(rb"[ \t]*,[ \t]*(?!\Z)")
_SEMICOLON = re.compile(rb";[ ]*")
_SPACES = re.compile(rb" *")


class _Malformed(Exception):
    """It is no structured field."""


class _FieldReader:
    """A place in the text of one field, from which things are read."""

    def __init__(self, text: bytes) -> None:
        self.text = text.strip(b" ")
        self.at = 0

    def take(self, pattern: re.Pattern[bytes]) -> re.Match[bytes] | None:
        match = pattern.match(self.text, self.at)
        if match is not None:
            self.at = match.end()
        return match

    def must(self, pattern: re.Pattern[bytes]) -> bytes:
        match = self.take(pattern)
        if match is None:
            raise _Malformed
        return match[0]

    def here(self, byte: bytes) -> bool:
        return self.text.startswith(byte, self.at)

    def bare(self) -> Item:
        if (match := self.take(_NUMBER)) is not None:
            if match[3] is None:
                return int(match[0])
            if len(match[2]) > 12:
                raise _Malformed
            return float(match[0])
        if (match := self.take(_BOOLEAN)) is not None:
            return match[1] == b"1"
        for pattern in (_STRING, _TOKEN, _BYTES):
            if (match := self.take(pattern)) is not None:
                return match[0]
        raise _Malformed

    def parameters(self) -> None:
        """Nobody here asks for them, but they have to be some."""
        while self.take(_SEMICOLON) is not None:
            self.must(_KEY)
            if self.here(b"="):
                self.at += 1
                self.bare()

    def value(self) -> Item:
        if not self.here(b"("):
            return self.bare()
        self.at += 1
        found: list[Item] = []
        while True:
            self.take(_SPACES)
            if self.here(b")"):
                self.at += 1
                return tuple(found)
            found.append(self.bare())
            self.parameters()
            if not self.here(b" ") and not self.here(b")"):
                raise _Malformed


def dictionary(text: bytes) -> dict[bytes, Item] | None:
    """By key; of two that are the same the last counts (RFC 8941 3.2). None: it is none."""
    reader = _FieldReader(text)
    found: dict[bytes, Item] = {}
    try:
        while reader.at < len(reader.text):
            key = reader.must(_KEY)
            found.pop(key, None)
            if reader.here(b"="):
                reader.at += 1
                found[key] = reader.value()
            else:
                found[key] = True
            reader.parameters()
            if reader.at < len(reader.text):
                reader.must(_COMMA)
    except _Malformed:
        return None
    return found
