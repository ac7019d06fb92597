"""Findings of a route's steps about one request: who the client is, and what of it backend, client and log are told.

What steps say to a backend nobody else may say there: fields of those names that came with the request are taken off in every
spelling (capitals; "_" for "-", as CGI-like backends read them, or "." and what else they take for it) before ours go on, and
whatever the client's Connection names takes none of ours away, since it is through by then. A route's header rules follow, and have
the last word.
"""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from functools import lru_cache

from lbproxy.http.forwarding import cut
from lbproxy.http.grammar import END, line_finder, with_twins

LONGEST_USER = 100
"""Characters of a user's name that the log tells: a line stays below PIPE_BUF."""


@lru_cache(maxsize=256)
def every_spelling(names: tuple[str, ...]) -> re.Pattern[bytes]:
    """Lines, in lower case, of fields that a backend may take for one of these."""
    lines = line_finder(tuple(name.lower().replace("_", "-").replace(".", "-").encode("ascii") for name in names))
    return re.compile(with_twins(lines))


class Findings:
    """What is known of one request beyond what it says itself."""

    __slots__ = ("_claimed", "_lines", "_noted", "_replaced", "answer_lines", "user")

    def __init__(self) -> None:
        self._claimed: tuple[str, ...] = ()
        self._lines = b""
        self._noted = ""
        self._replaced = b""
        self.answer_lines = b""
        """Fields for the client's answer, each with its CRLF in front."""
        self.user = ""
        """Who the client is; "" when nobody knows."""

    def claim(self, names: Sequence[str]) -> None:
        """These are ours to say: the client's are taken off, whether anything takes their place or not."""
        self._claimed += tuple(names)

    def tell_backend(self, lines: bytes) -> None:
        """Fields of names that were claimed, each with its CRLF in front."""
        self._lines += lines

    def note(self, step: str, outcome: str) -> None:
        """For the access log: what a step made of the request, in one word."""
        self._noted += f" {step}={outcome}" if self._noted else f"{step}={outcome}"

    def replace(self, head: bytes) -> None:
        """The backend gets this one, whatever came; a route's header rules still follow."""
        self._replaced = head

    def request(self, sent: bytes) -> bytes:
        """The head for the backend: `sent` with what was found out."""
        if self._replaced:
            return self._replaced
        if not self._claimed:
            return sent
        end = sent.find(b"\r\n")
        block = sent[end:-4]
        return sent[:end] + cut(block, block.lower(), every_spelling(self._claimed)) + self._lines + END

    def logged(self) -> str:
        """For the access line: JSON members, each with a comma in front."""
        said = f',"inspected":"{self._noted}"' if self._noted else ""
        return f'{said},"user":{json.dumps(self.user[:LONGEST_USER])}' if self.user else said
