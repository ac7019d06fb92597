"""The HTTP health check as bytes: one request, and a strict look at the status line that comes back.

HTTP/1.1 with `Connection: close`: some backends refuse 1.0, and each probe is a connection of its own on purpose, because "does it
still accept" is half of the question. The answer's head is read by its own few rules and not by the proxy's parser: a probe wants
one number. Chunks are taken off as those of traffic are (chunks.py).
"""

from __future__ import annotations

import re
from collections.abc import Iterable

from lbproxy.http.h1.chunks import LENIENT, LENIENT_LF, ChunkDecoder, ChunkError

USER_AGENT = "lbproxy-health"

MAX_ANSWER = 16 * 1024
"""Bytes after which an answer without a final status line is given up; interim responses included."""

# RFC 9112 section 4. The reason phrase is free text and may be missing, with or without the space before it. A status above 599 is
# none that a check expects, and is told as what it is.
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-9][0-9]{2})(?: [\t -~\x80-\xff]*)?\r\n")
_LONGEST_LINE = 1024


BODY_LIMIT = 64 * 1024
"""Bytes of a body that are searched."""

_HEAD_LIMIT = 64 * 1024
_LAX_HEAD_END = re.compile(rb"\n\r?\n")
_CODING = re.compile(rb"\r\ntransfer-encoding:[ \t]*(\S[^\r]*)\r\n", re.IGNORECASE)
_LENGTH = re.compile(rb"\r\ncontent-length:[ \t]*([0-9]{1,15})[ \t]*\r\n", re.IGNORECASE)


class BadHealthAnswer(ValueError):
    """What came is no HTTP/1 response; the text says what was wrong and shows nothing of it, because it is foreign bytes."""


def request(method: str, path: str, host: str, headers: Iterable[tuple[str, str]] = ()) -> bytes:
    """The probe's bytes. The configuration vouches for all of it: a token, visible ASCII, a host with optional port, header lines.

    A header of the same name takes the place of ours.
    """
    said = {name.lower() for name, _ in headers}
    ours = [(name, value) for name, value in (("User-Agent", USER_AGENT), ("Accept", "*/*")) if name.lower() not in said]
    lines = "".join(f"{name}: {value}\r\n" for name, value in (*ours, *headers))
    return f"{method} {path} HTTP/1.1\r\nHost: {host}\r\n{lines}Connection: close\r\n\r\n".encode("ascii")


def final_status(answer: bytes) -> int | None:
    """The status of the final response at the start of `answer`, None while more is needed. Raises BadHealthAnswer.

    Interim responses (1xx, RFC 9110 section 15.2) are stepped over; 101 is not one here, nobody asked for an upgrade.
    """
    at = 0
    while True:
        line_end = answer.find(b"\n", at)
        if line_end < 0:
            _still_plausible(answer, at)
            return None
        line = _STATUS_LINE.fullmatch(answer, at, line_end + 1)
        if line is None:
            raise BadHealthAnswer("no HTTP/1 status line")
        status = int(line[1])
        if status >= 200:
            return status
        if status == 101:
            raise BadHealthAnswer("switched protocols unasked")
        head_end = answer.find(b"\r\n\r\n", at)
        if head_end < 0:
            _still_plausible(answer, at)
            return None
        at = head_end + 4


def minor(answer: bytes) -> int:
    """Which HTTP/1 an answer is of that has a final status."""
    return 0 if answer.startswith(b"HTTP/1.0") else 1


def _still_plausible(answer: bytes, at: int) -> None:
    """Give up early on what can no longer become a status line: a TLS alert, an SSH banner, endless bytes."""
    begun = answer[at : at + 7]
    if begun != b"HTTP/1."[: len(begun)]:
        raise BadHealthAnswer("no HTTP/1 status line")
    if len(answer) > MAX_ANSWER or (b"\n" not in answer[at:] and len(answer) - at > _LONGEST_LINE):
        raise BadHealthAnswer("no end of the response head in sight")


def with_crlf(answer: bytes) -> tuple[bytes, bool]:
    """An answer whose lines may end with LF alone, its heads' ended as they should be; and whether the final one is whole."""
    heads, at = b"", 0
    while True:
        end = _LAX_HEAD_END.search(answer, at)
        head = answer[at:] if end is None else answer[at : end.end()]
        heads += head.replace(b"\r\n", b"\n").replace(b"\n", b"\r\n")
        at += len(head)
        if len(heads) > _HEAD_LIMIT:
            raise BadHealthAnswer("no end of the response head in sight")
        if end is None or not _interim(head):
            return heads + answer[at:], end is not None


def _interim(head: bytes) -> bool:
    """Its first line was, or will be, looked at by final_status."""
    return head[9:10] == b"1"


class BodySearch:
    """Looks for a text in the body of an answer, which is fed to it from its first byte on, in pieces.

    `feed` says True (found), False (the body, or what is searched of it, is over without) or None (more is needed).
    """

    def __init__(self, wanted: bytes, *, line_feeds: bool = False) -> None:
        """`line_feeds`: lines around chunks may end with LF alone (those of the head: see with_crlf)."""
        self._wanted = wanted
        self._moves = LENIENT_LF if line_feeds else LENIENT
        self._head = b""
        self._body = b""
        self._chunks: ChunkDecoder | None = None
        self._length = -1
        self._in_body = False

    def feed(self, data: bytes) -> bool | None:
        """Take the next bytes of the answer. Raises BadHealthAnswer."""
        if not self._in_body:
            self._head += data
            if not self._enter():
                return None
            self._head, data = b"", self._head
        over = self._take(data)
        if self._wanted in self._body[:BODY_LIMIT]:
            return True
        return False if over or len(self._body) >= BODY_LIMIT else None

    def ended(self) -> bool:
        """The connection ended. True when that was the body's own end and the text stood in it; raises BadHealthAnswer when cut."""
        if not self._in_body or self._chunks is not None or self._length >= 0:
            raise BadHealthAnswer("closed in the middle of the response")
        return self._wanted in self._body[:BODY_LIMIT]

    def _enter(self) -> bool:
        """Step over the heads; whether the final one is whole."""
        while (end := self._head.find(b"\r\n\r\n")) >= 0:
            head, self._head = self._head[: end + 4], self._head[end + 4 :]
            if _interim(head):
                continue
            said, length = _CODING.search(head), _LENGTH.search(head)
            coding = b"identity" if said is None else said[1].strip().lower()
            self._chunks = ChunkDecoder(self._moves) if coding == b"chunked" else None
            self._length = int(length[1]) if length is not None and coding == b"identity" else -1
            self._in_body = True
            return True
        if len(self._head) > _HEAD_LIMIT:
            raise BadHealthAnswer("no end of the response head in sight")
        return False

    def _take(self, data: bytes) -> bool:
        """Whether the body is over."""
        if self._chunks is not None:
            try:
                self._body += self._chunks.feed(data)
            except ChunkError as error:
                raise BadHealthAnswer(f"a broken chunk: {error}") from None
            return self._chunks.done
        self._body += data
        if 0 <= self._length <= len(self._body):
            self._body = self._body[: self._length]
            return True
        return False
