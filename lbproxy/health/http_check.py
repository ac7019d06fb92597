"""The HTTP probe as bytes: one request, and a strict look at the status line that comes back.

HTTP/1.1 with `Connection: close`: some backends refuse 1.0, and each probe is a connection of its own on purpose, because "does it
still accept" is half of the question. The answer is read by its own few rules and not by the proxy's parser: a probe wants one
number and must not depend on what traffic may do.
"""

from __future__ import annotations

import re

USER_AGENT = "lbproxy-health"

MAX_ANSWER = 16 * 1024
"""Bytes after which an answer without a final status line is given up; interim responses included."""

# RFC 9112 section 4. The reason phrase is free text and may be missing, with or without the space before it.
_STATUS_LINE = re.compile(rb"HTTP/1\.[01] ([1-5][0-9]{2})(?: [\t -~\x80-\xff]*)?\r\n")
_LONGEST_LINE = 1024


class BadAnswer(ValueError):
    """What came is no HTTP/1 response; the text says what was wrong and shows nothing of it, because it is foreign bytes."""


def request(method: str, path: str, host: str) -> bytes:
    """The probe's bytes. The configuration vouches for the three: a token, visible ASCII, a host with optional port."""
    return (
        f"{method} {path} HTTP/1.1\r\nHost: {host}\r\nUser-Agent: {USER_AGENT}\r\nAccept: */*\r\nConnection: close\r\n\r\n"
    ).encode("ascii")


def final_status(answer: bytes) -> int | None:
    """The status of the final response at the start of `answer`, None while more is needed. Raises BadAnswer.

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
            raise BadAnswer("no HTTP/1 status line")
        status = int(line[1])
        if status >= 200:
            return status
        if status == 101:
            raise BadAnswer("switched protocols unasked")
        head_end = answer.find(b"\r\n\r\n", at)
        if head_end < 0:
            _still_plausible(answer, at)
            return None
        at = head_end + 4


def _still_plausible(answer: bytes, at: int) -> None:
    """Give up early on what can no longer become a status line: a TLS alert, an SSH banner, endless bytes."""
    begun = answer[at : at + 7]
    if begun != b"HTTP/1."[: len(begun)]:
        raise BadAnswer("no HTTP/1 status line")
    if len(answer) > MAX_ANSWER or (b"\n" not in answer[at:] and len(answer) - at > _LONGEST_LINE):
        raise BadAnswer("no end of the response head in sight")
