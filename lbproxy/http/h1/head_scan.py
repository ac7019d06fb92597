"""A look at the first bytes of a response, while more of them come: can they still become a head?

A device that ends its lines with LF alone, or a server of another protocol, never sends the empty line that is waited for. So what
has come is followed through the grammar of RFC 9112 4 and 5, each byte once, and the first that fits nowhere tells what is wrong.
Which one that is does not depend on the pieces in which the bytes come.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from lbproxy.http.grammar import FIELD_BYTES, TCHAR

_DIGITS = b"0123456789"
_STATUS_LINE = (b"H", b"T", b"T", b"P", b"/", b"1", b".", b"01", b" ", b"12345", _DIGITS, _DIGITS)
"""What may stand at each of its first bytes."""
_FAULTS = ("response_not_http",) * 5 + ("response_version",) * 4 + ("response_status",) * 3
"""What it is when something else does."""

BARE_LF = "response_bare_lf"
MALFORMED = "response_malformed"


class _Stage(NamedTuple):
    """Some bytes of a kind, and then one of a few, each of which leads on."""

    run: re.Pattern[bytes]
    then: dict[int, str]


_NOTHING = re.compile(b"")
_TEXT = re.compile(rb"[" + FIELD_BYTES + rb"]*+")
_NAME = re.compile(rb"[" + TCHAR + rb"]*+")
_CR, _LF, _SPACE, _COLON = b"\r\n :"

_STAGES = {
    "status": _Stage(_NOTHING, {_SPACE: "text", _CR: "cr"}),
    "text": _Stage(_TEXT, {_CR: "cr"}),
    "cr": _Stage(_NOTHING, {_LF: "line"}),
    "line": _Stage(_NOTHING, {_CR: "end", **{byte: "name" for byte in range(256) if _NAME.fullmatch(bytes([byte]))}}),
    "name": _Stage(_NAME, {_COLON: "text"}),
    "end": _Stage(_NOTHING, {_LF: "over"}),
}


class HeadScan:
    """Looks at the bytes of one head as they come."""

    __slots__ = ("_at", "_stage")

    def __init__(self) -> None:
        self._at = 0
        self._stage = "status"

    def look(self, data: bytes) -> str:
        """`data`: all that has come of it. Why that can become no head; "" when it can, or is one."""
        for at in range(self._at, min(len(data), len(_STATUS_LINE))):
            if data[at] not in _STATUS_LINE[at]:
                return _FAULTS[at]
            self._at = at + 1
        while self._stage != "over" and len(_STATUS_LINE) <= self._at < len(data):
            stage = _STAGES[self._stage]
            match = stage.run.match(data, self._at)
            if match is not None:
                self._at = match.end()
            if self._at < len(data):
                byte = data[self._at]
                if byte not in stage.then:
                    return BARE_LF if byte == _LF and self._stage not in ("cr", "end") else MALFORMED
                self._stage = stage.then[byte]
                self._at += 1
        return ""
