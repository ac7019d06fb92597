"""A response head, laid out as HTTP/1 has it, to the fields of HTTP/2.

Steps before this one know heads as blocks of lines, remembered by their bytes (http/heads.py). What becomes of one here is
a pure function of its bytes as well, so the same bytes are not taken apart again: a hot resource's head, Date and all, is
looked up for as long as a second lasts, and libnghttp2 then finds each of its fields in the table of its compression.
"""

from __future__ import annotations

from collections.abc import Iterable

from lbproxy.http.grammar import HOP_BY_HOP
from lbproxy.http.h2.vocabulary import Field, Fields
from lbproxy.http.message import FIELDS_KEPT
from lbproxy.remembered import Budget

KEPT = 1024 * 1024
"""Bytes; then all are forgotten."""
COPIES, OBJECTS, FIELD = 3, 1024, 192
"""Times that a head's bytes are held by what is remembered of it; what the objects for it take, and for each of its fields."""

_DROPPED = frozenset(HOP_BY_HOP)
"""RFC 9113 8.2.2. Steps before have dropped the peer's; what they said of our own connection goes here."""


class ResponseFields:
    """Makes field lists of the response heads of one process."""

    __slots__ = ("_budget", "_known")

    def __init__(self, kept: int = KEPT) -> None:
        self._budget = Budget(kept)
        self._known: dict[bytes, Fields] = self._budget.draws({})

    def of(self, head: bytes) -> Fields:
        """`head`: from the status line to the empty line, both included; sound, as whoever lays heads out makes sure of."""
        fields = self._known.get(head)
        if fields is None:
            fields = taken_apart(head)
            if len(head) <= FIELDS_KEPT:
                self._budget.keep(self._known, head, fields, COPIES * len(head) + FIELD * len(fields) + OBJECTS)
        return fields


def taken_apart(head: bytes) -> Fields:
    """See `ResponseFields.of`."""
    line, *lines = head[:-4].split(b"\r\n")
    return ((b":status", line[9:12]), *regular(lines))


def regular(lines: Iterable[bytes]) -> list[Field]:
    """Field lines, without their CRLF, as they stand in HTTP/2: names in lower case, nothing about a connection."""
    fields: list[Field] = []
    for line in lines:
        name, _, value = line.partition(b":")
        name = name.lower()
        if name not in _DROPPED:
            fields.append((name, value.strip(b" \t")))
    return fields
