"""Authorization by another server: what it is asked about a request, and what its answer means.

It gets the request's fields but for those that frame it, condition it, or are of one hop; what proxies say is made anew, whoever
sends the request: a trusted proxy's X-Forwarded-Host may be its client's word, and what is asked about must be what is routed.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import NamedTuple

from lbproxy.http.fields import values
from lbproxy.http.findings import every_spelling
from lbproxy.http.forwarding import VIA, Forwarder, cut, response, without
from lbproxy.http.grammar import END, HOP_BY_HOP, SAID_BY_PROXIES, line_finder
from lbproxy.http.message import RequestHead, ResponseHead

_NOT_ASKED = every_spelling(
    tuple(
        name.decode("ascii")
        for name in (
            *HOP_BY_HOP, *SAID_BY_PROXIES, b"content-encoding", b"content-length", b"content-md5", b"content-range", b"expect",
            b"forwarded", b"if-*", b"proxy", b"range", b"x-forwarded-*", b"x-original-*", b"x-real-ip",
        )
    )
)  # fmt: skip
_HOST = line_finder((b"host",))
_UNDERSCORE = re.compile(rb"\r\n[^:\r_]*+_[^:\r]*+:[^\r]*+")
_LENGTH = line_finder((b"content-length",))
_COOKIES = line_finder((b"set-cookie",))


class AuthorizationQuestion(NamedTuple):
    """What is asked of each request of a route, as the configuration has it."""

    path: bytes
    host: bytes
    """b"": that of the request."""
    copy: tuple[str, ...]
    user: str
    """The field that names the user; "": none does."""

    def head(self, head: RequestHead, forwarder: Forwarder) -> bytes:
        """The whole head to ask with, as HTTP/1.1 has it."""
        block = cut(head.block, head.lowered, _NOT_ASKED)
        if block.find(b"_") >= 0 and not head.underscores:
            block = cut(block, block.lower(), _UNDERSCORE)
        if self.copy:
            block = cut(block, block.lower(), every_spelling(self.copy))
        if head.nominated:
            block = without(block, head.nominated)
        authority = head.authority or forwarder.here().encode("ascii")
        block = cut(block, block.lower(), _HOST)
        scheme = b"https" if forwarder.secure(head) else b"http"
        client = forwarder.client(head).encode("ascii")
        return b"".join((
            b"GET ", self.path, b" HTTP/1.1\r\nHost: ", self.host or authority, block,
            b"\r\nX-Forwarded-Method: ", head.method, b"\r\nX-Forwarded-Uri: ", head.target,
            b"\r\nX-Forwarded-Host: ", authority, b"\r\nX-Forwarded-Proto: ", scheme, b"\r\nX-Forwarded-For: ", client,
            b"\r\nX-Original-Method: ", head.method, b"\r\nX-Original-URL: ", scheme, b"://", authority, head.target, VIA, END,
        ))  # fmt: skip

    def verdict(self, answer: ResponseHead, body: bytes) -> AuthorizationVerdict:
        """What an answer below 500 means."""
        cookies = b"".join(_lines(answer, _COOKIES))
        if answer.status >= 300:
            head = response(answer, b"")
            block = head[head.find(b"\r\n") : -4]
            block = cut(block, block.lower(), _LENGTH)
            lines = block if answer.status == 304 else block + b"\r\nContent-Length: %d" % len(body)
            return AuthorizationVerdict(answer.status, lines, body, b"", cookies, "", answer.undated)
        copied = b"".join(dict.fromkeys(_lines(answer, _named(self.copy)))) if self.copy else b""  # LemonLDAP says each twice
        user = next(values(answer, self.user.lower().encode("ascii")), b"") if self.user else b""
        return AuthorizationVerdict(answer.status, b"", b"", copied, cookies, user.decode("latin-1"), False)


def _lines(answer: ResponseHead, finder: re.Pattern[bytes]) -> list[bytes]:
    """Those that say something, as they came."""
    found = (answer.block[match.start() : match.end()] for match in finder.finditer(answer.lowered))
    return [line for line in found if line.partition(b":")[2].strip(b" \t")]


@lru_cache(maxsize=256)
def _named(names: tuple[str, ...]) -> re.Pattern[bytes]:
    return line_finder(tuple(name.lower().encode("ascii") for name in names))


class AuthorizationVerdict(NamedTuple):
    """What somebody said who was asked about a request."""

    status: int
    lines: bytes
    """Of an answer that goes to the client: its fields, each with its CRLF in front."""
    body: bytes
    copied: bytes
    """Of one that lets the request pass: fields for the backend."""
    cookies: bytes
    """Its Set-Cookie lines, whatever it is."""
    user: str
    """Of one that lets it pass: who the client is; "" when that is not told."""
    undated: bool
    """One for the client has no Date."""

    @property
    def passes(self) -> bool:
        """The request goes on."""
        return self.status < 300

    @property
    def size(self) -> int:
        """Bytes, about."""
        return 512 + len(self.lines) + len(self.body) + len(self.copied) + len(self.user)
