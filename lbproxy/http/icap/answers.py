"""The answers of ICAP servers, read as they write it: line ends, folds and missing fields are theirs to choose, lengths are not.

A verdict is the status and the heads that are encapsulated, never a vendor's field. What is malformed is no verdict.
"""

from __future__ import annotations

import re
from typing import NamedTuple

from lbproxy.errors import LbproxyError

MAX_HEAD = 64 * 1024
"""Bytes of an answer's own head, and of all heads that it encapsulates."""
_END = re.compile(rb"\r?\n\r?\n")
_LINE = re.compile(rb"ICAP/1\.[0-9] ([1-5][0-9][0-9])(?: [^\r\n]*)?\Z")
_FOLD = re.compile(rb"\r?\n[ \t]+")
_PLACE = re.compile(rb"(req-hdr|res-hdr|req-body|res-body|opt-body|null-body)=([0-9]{1,7})\Z")
_NUMBER = re.compile(rb"[0-9]{1,9}\Z")
_DAY = 86400.0
DEFAULT_TTL = 3600.0
"""Seconds that options hold whose server does not say (RFC 3507 4.10.2 leaves it open)."""
LEAST_TTL = 5.0
"""A server that says 0 is not asked in front of each request."""


class BadIcapAnswer(LbproxyError):
    """What came is no answer of ICAP; the text says why."""


class Encapsulated(NamedTuple):
    """What stands behind an answer's own head, by lengths."""

    request: tuple[int, int]
    """Begin and end of an HTTP request's head; (0, 0): there is none."""
    answer: tuple[int, int]
    """The same of an HTTP answer's."""
    size: int
    """Bytes of all heads."""
    body: bool
    """A body in chunks follows."""


NOTHING = Encapsulated((0, 0), (0, 0), 0, False)


class IcapHead(NamedTuple):
    """The own head of an answer."""

    status: int
    fields: dict[bytes, bytes]
    """By name in lower case; what is there several times is joined by commas."""
    encapsulated: Encapsulated
    keep_alive: bool


def end_of_head(data: bytes, begin: int = 0) -> int:
    """Where the head ends, its empty line included; -1: not yet. Raises BadIcapAnswer."""
    found = _END.search(data, max(0, begin - 3))
    if (found is None and len(data) > MAX_HEAD) or (found is not None and found.end() > MAX_HEAD):
        raise BadIcapAnswer("a head without an end")
    return -1 if found is None else found.end()


def read_head(data: bytes) -> IcapHead:
    """`data`: up to the empty line, which may be included. Raises BadIcapAnswer."""
    first, *lines = _FOLD.sub(b" ", data).replace(b"\r\n", b"\n").rstrip(b"\n").split(b"\n")
    line = _LINE.match(first)
    if line is None:
        raise BadIcapAnswer("no status line of ICAP")
    fields: dict[bytes, bytes] = {}
    for each in lines:
        name, colon, value = each.partition(b":")
        name = name.strip(b" \t").lower()
        if not colon or not name:
            raise BadIcapAnswer("a line that is no field")
        value = value.strip(b" \t")
        fields[name] = fields[name] + b", " + value if name in fields else value
    status = int(line[1])
    keep_alive = b"close" not in [option.strip(b" \t") for option in fields.get(b"connection", b"").lower().split(b",")]
    encapsulated = _encapsulated(fields[b"encapsulated"]) if b"encapsulated" in fields else NOTHING
    return IcapHead(status, fields, encapsulated, keep_alive)


def _encapsulated(said: bytes) -> Encapsulated:
    """RFC 3507 4.4.1: places in the order in which they stand, the body last. Raises BadIcapAnswer."""
    places = []
    for item in said.split(b","):
        found = _PLACE.match(item.strip(b" \t").replace(b" ", b""))
        if found is None:
            raise BadIcapAnswer("Encapsulated is malformed")
        places.append((found[1], int(found[2])))
    offsets = [offset for _, offset in places]
    names = [name for name, _ in places]
    if offsets[0] or offsets != sorted(offsets) or offsets[-1] > MAX_HEAD or len(set(names)) != len(names):
        raise BadIcapAnswer("Encapsulated makes no sense")
    if not names[-1].endswith(b"-body") or any(name.endswith(b"-body") for name in names[:-1]):
        raise BadIcapAnswer("Encapsulated does not end with a body")
    parts = {name: (begin, end) for (name, begin), end in zip(places[:-1], offsets[1:], strict=True)}
    body = names[-1]
    return Encapsulated(parts.get(b"req-hdr", (0, 0)), parts.get(b"res-hdr", (0, 0)), offsets[-1], body != b"null-body")


class Options(NamedTuple):
    """What a service says of itself (RFC 3507 4.10.2)."""

    preview: int
    """Bytes of a body that it wants first; below 0: all at once."""
    methods: frozenset[bytes]
    """Empty: it does not say."""
    ttl: float

    def allows(self, method: bytes) -> bool:
        """It is for messages of that direction."""
        return not self.methods or method in self.methods


NO_OPTIONS = Options(-1, frozenset(), DEFAULT_TTL)
"""Of a server that knows none."""
_KNOWS_NONE = (405, 501)


def read_options(head: IcapHead, most_preview: int) -> Options:
    """Raises BadIcapAnswer for one that is no answer to OPTIONS, as where there is no such service."""
    if head.status in _KNOWS_NONE:
        return NO_OPTIONS
    if not 200 <= head.status < 300:
        raise BadIcapAnswer(f"{head.status} to OPTIONS: is there such a service?")
    said = head.fields.get(b"preview", b"").strip()
    preview = min(int(said), most_preview) if _NUMBER.match(said) else -1
    methods = head.fields.get(b"methods") or head.fields.get(b"method", b"")
    wanted = frozenset(word.strip(b" \t").upper() for word in methods.split(b",") if word.strip(b" \t"))
    told = head.fields.get(b"options-ttl", b"")
    ttl = float(int(told)) if _NUMBER.match(told) else DEFAULT_TTL
    return Options(preview, wanted, min(max(ttl, LEAST_TTL), _DAY))
