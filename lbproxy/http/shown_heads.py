"""Heads as somebody else may see them: without secrets, and with a length of our own. Pure."""

from __future__ import annotations

from lbproxy.http.findings import every_spelling
from lbproxy.http.forwarding import cut
from lbproxy.http.grammar import END, line_finder

_FRAMING = line_finder((b"content-length", b"transfer-encoding", b"trailer"))
LONGEST, MOST = 4096, 64
"""Bytes of one that is remembered, and how many are: from one client, and from one backend, the same comes again and again."""


class ShownHeads:
    """Lines of heads, each with its CRLF in front, as they are shown."""

    __slots__ = ("_blanked", "_framed", "_known")

    def __init__(self, blank: tuple[str, ...], framed: bool) -> None:
        """`blank`: names of fields without their values, in every spelling; `framed`: those that say how long a body is are left
        out."""
        self._blanked = every_spelling(blank) if blank else None
        self._framed = framed
        self._known: dict[bytes, bytes] = {}

    def shown(self, lines: bytes) -> bytes:
        """What stands in front of the first CRLF stays; an empty line behind the last is left out."""
        found = self._known.get(lines)
        if found is None:
            found = self._made(lines)
            if len(lines) <= LONGEST:
                if len(self._known) >= MOST:
                    self._known.clear()
                self._known[lines] = found
        return found

    def _made(self, lines: bytes) -> bytes:
        if lines.endswith(END):
            lines = lines[:-4]
        if self._framed:
            lines = cut(lines, lines.lower(), _FRAMING)
        if self._blanked is None:
            return lines
        kept, at = [], 0
        for match in self._blanked.finditer(lines.lower()):
            colon = lines.index(b":", match.start())
            kept += [lines[at : colon + 1], b" -"]
            at = match.end()
        return b"".join((*kept, lines[at:]))
