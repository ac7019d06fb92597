"""The client's side of ICAP: requests, and bodies in chunks, with a preview in front where the server wants one (RFC 3507 4.5)."""

from __future__ import annotations

from typing import NamedTuple

REQMOD, RESPMOD, OPTIONS = b"REQMOD", b"RESPMOD", b"OPTIONS"
LAST = b"0\r\n\r\n"
"""The end of a body, or of a preview behind which more may follow."""
IEOF = b"0; ieof\r\n\r\n"
"""The end of a preview that is all of the body (RFC 3507 4.5)."""


class IcapService(NamedTuple):
    """What is asked: a service of one server."""

    authority: bytes
    path: bytes
    """Begins with a slash; may have a query, by which services take arguments."""

    def begin(self, method: bytes) -> bytes:
        """The request line and Host (RFC 3507 4.2, 4.3.2)."""
        return b"%b icap://%b%b ICAP/1.0\r\nHost: %b\r\nUser-Agent: lbproxy" % (method, self.authority, self.path, self.authority)


class EncapsulatedHeads(NamedTuple):
    """The heads that are encapsulated, each whole with its empty line; b"" for one that is not there."""

    request: bytes
    answer: bytes = b""


def options(service: IcapService) -> bytes:
    """RFC 3507 4.10.1."""
    return service.begin(OPTIONS) + b"\r\nEncapsulated: null-body=0\r\n\r\n"


def ask(service: IcapService, heads: EncapsulatedHeads, *, body: bool, preview: int = -1, lines: bytes = b"") -> bytes:
    """REQMOD, or RESPMOD where there is an answer's head, up to where the body begins.

    `body`: there is one; `preview`: bytes of it that come first, below 0: all of it comes; `lines`: more fields, each with its CRLF
    in front. 204 is allowed in any case (RFC 3507 4.6).
    """
    method, kind = (RESPMOD, b"res-body") if heads.answer else (REQMOD, b"req-body")
    places = b"req-hdr=0, "
    if heads.answer:
        places += b"res-hdr=%d, " % len(heads.request)
    places += b"%b=%d" % (kind if body else b"null-body", len(heads.request) + len(heads.answer))
    more = b"\r\nPreview: %d" % preview if body and preview >= 0 else b""
    return b"%b\r\nAllow: 204%b%b\r\nEncapsulated: %b\r\n\r\n%b%b" % (
        service.begin(method), more, lines, places, heads.request, heads.answer
    )  # fmt: skip


def chunk(data: bytes) -> bytes:
    """A piece of a body; nothing for none, which would be the end."""
    return b"%x\r\n%b\r\n" % (len(data), data) if data else b""
