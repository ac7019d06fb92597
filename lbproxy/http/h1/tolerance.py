"""Answers that break the grammar in ways that their pool tolerates: made anew, so that the strict reader reads them.

Theory: there is one reader, and it stays strict. A head that it refuses is mended here, each fault that is tolerated by the rule
that RFC 9112 has for it, and then read again; what was not mended is refused as ever. So the client gets fields that are in the
grammar, and a device that is read leniently cannot have the client read something else. What was mended says `Connection: close`
from then on: where such an answer ends is less sure than elsewhere, and the next request must not depend on it. Only answers:
requests stay as they are.

A status that nobody knows cannot be mended. RFC 9110 15 has it read as a 5xx, so the strict reader gets one, and the head its own
number back; where its body ends is as sure as ever.
"""

from __future__ import annotations

import re

from lbproxy.http.grammar import END, FIELD_BYTES, TCHAR, has_bare_lf
from lbproxy.http.h1.chunks import LENIENT, LENIENT_LF
from lbproxy.http.h1.head_scan import BARE_LF, HeadScan

_LINE_END = re.compile(rb"\r?\n")
_HEAD_END = re.compile(rb"\n\r?\n")
_FIELD = re.compile(rb"[" + TCHAR + rb"]++:[" + FIELD_BYTES + rb"]*+\Z")
_SPACED = re.compile(rb"([" + TCHAR + rb"]++)[ \t]++(:[" + FIELD_BYTES + rb"]*+)\Z")
_NO_LETTERS = bytes(byte for byte in range(256) if not 0x61 <= byte <= 0x7A)
_DECISIVE = (b"contentlength", b"transferencoding", b"connection", b"upgrade")
"""What makes a line that is no field worth a refusal: somebody else may read one of these in it."""
_CLOSE = b"Connection: close"
_BEGINNING = 12
"""Bytes up to the end of a status, which is what tells HTTP from all else."""
_HIGH = re.compile(rb"(HTTP/1\.[01] )([6-9])")


class Tolerance:
    """Mends the faults of answers that one pool tolerates."""

    __slots__ = ("_high", "_words", "chunks", "line_feeds")

    def __init__(self, words: tuple[str, ...]) -> None:
        """Of vocabulary.TOLERABLE."""
        self._words = frozenset(words)
        self._high = "high_status" in words
        self.line_feeds = "bare_lf" in words
        self.chunks = LENIENT_LF if self.line_feeds else LENIENT
        """How chunks are read."""

    def end(self, data: bytes, at: int) -> int:
        """Where the head ends, its empty line included; -1 when that is not here. It does not before `at`."""
        if self.line_feeds:
            found = _HEAD_END.search(data, at)
            return -1 if found is None else found.end()
        end = data.find(END, at)
        return -1 if end < 0 else end + len(END)

    def fault(self, data: bytes) -> str:
        """Why that can become no head; "" when it can."""
        beginning, _ = self.known_status(data[:_BEGINNING])
        return HeadScan().look(beginning) or (BARE_LF if not self.line_feeds and has_bare_lf(data) else "")

    def known_status(self, raw: bytes) -> tuple[bytes, int]:
        """A head with a status of 500 to 599 in place of one above, and how much higher that was."""
        if not self._high or (found := _HIGH.match(raw)) is None:
            return raw, 0
        return found[1] + b"5" + raw[found.end() :], 100 * (int(found[2]) - 5)

    def mended(self, raw: bytes) -> bytes:
        """`raw`: a head that was refused, its empty line included."""
        lines = _LINE_END.split(raw) if self.line_feeds else raw.split(b"\r\n")
        first, fields = lines[0], lines[1:-2]
        if "obs_fold" in self._words:
            fields = _unfolded(fields)
        if "field_lines" in self._words:
            fields = [line for line in map(_field, fields) if line]
        if "identity_coding" in self._words:
            fields = [line for line in fields if not _is(line, b"transfer-encoding", b"identity")]
        if "repeated_length" in self._words:
            fields = _one_length(fields)
        return b"\r\n".join([first, *fields, _CLOSE, b"", b""])


def _unfolded(lines: list[bytes]) -> list[bytes]:
    """RFC 9112 5.2: each fold becomes a space. Below the status line it stays what it is, and is refused."""
    fields: list[bytearray] = []
    for line in lines:
        if line[:1] in (b" ", b"\t") and fields:
            fields[-1] += b" " + line.strip(b" \t")
        else:
            fields.append(bytearray(line))
    return [bytes(field) for field in fields]


def _field(line: bytes) -> bytes:
    """RFC 9112 5.1: blanks in front of the colon come off. b"" for what is no field; what might decide something stays, and is
    refused, as is a fold: without it the field above would say something else."""
    if _FIELD.match(line):
        return line
    if spaced := _SPACED.match(line):
        return spaced[1] + spaced[2]
    letters = line.lower().translate(None, _NO_LETTERS)
    return line if b"\n" in line or line[:1] in (b" ", b"\t") or any(word in letters for word in _DECISIVE) else b""


def _is(line: bytes, name: bytes, value: bytes) -> bool:
    """Whether the line is that field, both in lower case."""
    found, _, said = line.lower().partition(b":")
    return found == name and said.strip(b" \t") == value


def _one_length(lines: list[bytes]) -> list[bytes]:
    """RFC 9110 8.6: lines, or a list, that all say the same number stand for one. Others stay, and are refused."""
    lengths = [line for line in lines if line.lower().startswith(b"content-length:")]
    said = {value.strip(b" \t") for line in lengths for value in line.partition(b":")[2].split(b",")}
    if len(said) != 1:
        return lines
    return [*(line for line in lines if line not in lengths), b"Content-Length: " + said.pop()]
