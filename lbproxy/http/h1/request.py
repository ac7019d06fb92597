"""A request head from bytes to a checked RequestHead. Nothing of a message that is refused here ever reaches a backend.

The hot path is one match over the whole head, one scan for the fields that decide something, and framing on the result. Which rule
a refused head broke is found out afterwards, in `_diagnose`, where time does not matter.
"""

from __future__ import annotations

import re
from ipaddress import IPv6Address

from lbproxy.errors import RequestError
from lbproxy.http.framing import request_body
from lbproxy.http.grammar import (
    BARE_CR,
    HOP_BY_HOP,
    HOST,
    ODDLY_NAMED,
    SAID_BY_PROXIES,
    TCHAR,
    TOKEN,
    count_fields,
    count_plain_fields,
    has_bare_lf,
    scanner,
)
from lbproxy.http.h1.deciding_fields import MAX_OPTIONS, NOTHING, gather, keeps_alive, nominated_fields, options_of
from lbproxy.http.message import FIELDS_KEPT, NO_BODY, RequestHead, Special
from lbproxy.http.target import split_target
from lbproxy.http.upgrade import wanted

# RFC 9112 3: method SP request-target SP HTTP-version. The first pattern is the everyday case, a path that is in normal form
# unless a dot follows a slash (target.py), and finds the path as well; the second is the whole of what is not refused outright.
_PLAIN_LINE = re.compile(rb"([A-Z]{1,32}+) ((/[!\"$&->@-\[\]-~]*+)(?:\?[!\"$-~]*+)?) HTTP/1\.([01])\Z")
# RFC 9110 9.1: methods know case, yet some backends fold it (aiohttp's Python parser). A "head" that is answered as HEAD announces
# a body that never comes, and the next response would be taken for it. nginx refuses small letters as well.
_METHOD = rb"[" + TCHAR.replace(b"a-z", b"") + rb"]{1,32}+"
_LINE = re.compile(rb"(" + _METHOD + rb") ([^ ]++) HTTP/1\.([01])\Z")
_VISIBLE = bytes(range(0x21, 0x7F))
"""What a target is made of; a class in the pattern would cost ten times as much for a long one."""

SPECIAL_NAMES = (
    # framing and routing
    b"host",
    b"content-length",  # and transfer-encoding, which is hop by hop
    b"expect",
    *HOP_BY_HOP,
    # ours to say
    b"x-forwarded-*",
    b"x-real-ip",
    b"forwarded",
    b"via",
    *SAID_BY_PROXIES,
    # never a client's to say
    b"proxy",
)
_SPECIAL = scanner(SPECIAL_NAMES)
_REFUSED_METHODS = {
    b"CONNECT": ("method_connect", "CONNECT is for forward proxies"),
    b"TRACE": ("method_trace", "TRACE would show a client what proxies add"),
}
MAX_ROUNDS = 4
"""Times a message may have come through one of us. An edge, a region and a service may each have an lbproxy; four in a row are a
loop that would go round until something breaks."""
_HOSTS_KEPT = 512
_hosts: dict[bytes, bytes] = {}
"""Checked Host values of this process and what they route on: hosts repeat, and a look-up is a tenth of the match."""


class LastFields:
    """The field lines of a connection's last request and what they meant.

    A client repeats its fields from request to request more often than not (API clients nearly always). Equal bytes mean the same,
    so a comparison takes the place of sweeps, scan and decision. One per connection: what one client sends is no other's business.
    """

    __slots__ = ("block", "head", "meaning", "minor", "request")

    def __init__(self) -> None:
        self.head = b""
        self.request: RequestHead | None = None
        """What the whole of `head` meant, for a client that asks for the same again."""
        self.block = b""
        self.minor = b""
        self.meaning: RequestHead | None = None
        """A head with these fields."""

    def keep(self, head: bytes, request: RequestHead) -> None:
        """Remember a whole head, if it is not so large that clients could fill the memory with heads."""
        if len(head) <= FIELDS_KEPT:
            self.head, self.request = head, request


def parse_request(
    head: bytes, max_line: int, max_fields: int, last: LastFields | None = None, backslash: bool = False
) -> RequestHead:
    """`head`: from the first byte of the request line to the empty line, both included. Raises RequestError.

    `last`: remembers the fields for the connection's next request; `backslash`: see split_target.
    """
    if last is not None and head == last.head and last.request is not None:
        return last.request
    end = head.find(b"\r\n")
    block = head[end:-4]
    if last is not None and last.meaning is not None and block == last.block and end <= max_line:
        line = _PLAIN_LINE.match(head, 0, end) if head.find(b"/.", 0, end) < 0 else None
        if line is not None:
            method, target, path, minor_digit = line.groups()
            if minor_digit == last.minor and method not in _REFUSED_METHODS:
                request = last.meaning.elsewhere(method, target, path, b"")
                last.keep(head, request)
                return request
    line = _LINE.match(head, 0, end)
    fields = count_plain_fields(block)
    odd = fields < 0
    if odd:
        fields = count_fields(block)
    if line is None or fields < 0 or line[2].translate(None, _VISIBLE):
        raise _diagnose(head)
    if end > max_line:
        raise RequestError(414, "request_line_too_long", f"request line of {end} bytes, at most {max_line}")
    if fields > max_fields:
        raise RequestError(431, "too_many_fields", f"{fields} fields, at most {max_fields}")
    method, target, minor_digit = line.groups()
    request = _meaning(method, target, minor_digit, block, backslash, odd)
    if last is not None and len(block) <= FIELDS_KEPT:
        last.keep(head, request)
        if target[:1] == b"/" or minor_digit == b"1":  # else the fields need not tell the host, and the next one's URL is another
            last.block, last.minor = request.block, minor_digit
            last.meaning = request if len(head) <= FIELDS_KEPT else request.elsewhere(method, b"", b"", b"")
    return request


def _meaning(method: bytes, target: bytes, minor_digit: bytes, block: bytes, backslash: bool, odd: bool) -> RequestHead:
    """What a head of sound grammar says; `odd`: it has names that are not plain. Raises RequestError."""
    if method in _REFUSED_METHODS:
        raise RequestError(405, *_REFUSED_METHODS[method])
    minor = 1 if minor_digit == b"1" else 0
    lowered = block.lower()
    specials: list[Special] = _SPECIAL.findall(lowered)
    if odd:
        specials.append(ODDLY_NAMED)
    if len(specials) == 1 and specials[0][0] == b"host":  # as a rule: Host alone
        body, keep_alive, expect, upgrade, nominated = NO_BODY, minor == 1, False, b"", NOTHING
        authority, host = specials[0][1], None
    else:
        body, keep_alive, expect, upgrade, nominated = _decide(specials, minor)
        if upgrade:
            upgrade = wanted(upgrade, body, keep_alive, specials, block)
            keep_alive = keep_alive and not upgrade
        authority = _authority(specials, minor, target)
        host = None if authority else b""
    if host is None:
        host = _hosts.get(authority)
    if host is None:
        authority, host = _host(authority)
    said = target if target[0] == 0x2F else _other_form(method, target, authority)  # "/"
    path, target = (said, said) if said == b"*" else split_target(said, backslash)
    raw = b"" if said == target else said
    return RequestHead(
        method, target, path, host, authority, minor, body, keep_alive, expect, upgrade, block, lowered, specials, nominated, raw
    )


def _decide(specials: list[Special], minor: int) -> tuple[int, bool, bool, bytes, tuple[bytes, ...]]:
    """(body, keep_alive, expect_continue, upgrade, nominated) from the fields that decide them."""
    lengths, codings, connection, upgrade, expects, rounds = gather(specials)
    if rounds >= MAX_ROUNDS:
        raise RequestError(508, "loop", "the request has been here before (Via)")
    expect = expects != b"" and _expects_continue(expects)
    body = request_body(lengths, codings, minor) if lengths or codings else NO_BODY
    if minor and (not connection or connection == b"keep-alive"):
        return body, True, expect, b"", NOTHING
    options = options_of(connection)
    if options is None:
        raise RequestError(400, "connection_options", f"more than {MAX_OPTIONS} options in Connection")
    keep_alive = keeps_alive(options, minor)
    if b"upgrade" not in options or minor == 0:
        upgrade = b""
    return body, keep_alive, expect and minor == 1, upgrade, nominated_fields(options)


def _expects_continue(values: bytes) -> bool:
    """RFC 9110 10.1.1: a list, whose empty members mean nothing (5.6.1.2). `values`: of all Expect fields, joined by commas."""
    members = {member.strip(b" \t") for member in values.split(b",")} - {b""}
    if members - {b"100-continue"}:
        raise RequestError(417, "expectation", "an expectation other than 100-continue")
    return bool(members)


def _authority(specials: list[Special], minor: int, target: bytes) -> bytes:
    """RFC 9112 3.2: exactly one Host. With two, this proxy would route on one and the backend might serve the other.

    HTTP/1.0 knows no Host: such a request is for what its URL names, if it is one, and else for nobody in particular: b"".
    """
    found = [value for name, value in specials if name == b"host"]
    if not found:
        if minor:
            raise RequestError(400, "host_missing", "no Host")
        url = _ABSOLUTE.match(target)
        return b"" if url is None else url[2].lower()
    if len(found) > 1:
        raise RequestError(400, "host_repeated", "more than one Host")
    if not found[0]:
        raise RequestError(400, "host_malformed", "an empty Host")
    return found[0]


def _host(value: bytes) -> tuple[bytes, bytes]:
    """Host's value (lower case) -> (it without white space at its end, the host to route on), remembered. Raises RequestError."""
    authority = value.rstrip(b" \t")  # and never remembered with it: kilobytes of blanks would be kept 512 times
    match = HOST.match(authority)
    if match is None:
        raise RequestError(400, "host_malformed", "Host is not a host with an optional port")
    if match[2] is not None and int(match[2]) > 65535:
        raise RequestError(400, "host_malformed", "the port in Host is above 65535")
    host = match[1]
    if host[-1] == 0x2E:
        host = host[:-1]
    elif host[0] == 0x5B:
        try:
            IPv6Address(host[1:-1].decode())
        except ValueError:
            raise RequestError(400, "host_malformed", "what is in brackets in Host is no IPv6 address") from None
    if len(_hosts) >= _HOSTS_KEPT:
        _hosts.clear()  # a client that sends endless hosts costs a re-match, never memory
    _hosts[authority] = host
    return authority, host


_ABSOLUTE = re.compile(rb"(?i:http(s)?)://([^/?#@]++)([/?].*)?\Z")


def _other_form(method: bytes, target: bytes, authority: bytes) -> bytes:
    """The origin-form of absolute-form, or "*" (RFC 9112 3.2.2, 3.2.4)."""
    if target == b"*":
        if method != b"OPTIONS":
            raise RequestError(400, "target_form", "'*' is for OPTIONS alone")
        return b"*"
    match = _ABSOLUTE.match(target)
    if match is None:
        raise RequestError(400, "target_form", "the request target is neither a path, nor an http URL without userinfo, nor '*'")
    named = match[2].lower()
    port = b"80" if match[1] is None else b"443"
    if named != authority and _without_port(named, port) != _without_port(authority, port):
        # RFC 9112 3.2.2 lets the target win; a backend that reads Host instead would see another site.
        raise RequestError(400, "target_host_mismatch", "the URL's host and Host disagree")
    if method == b"OPTIONS" and match[3] is None:
        return b"*"  # RFC 9112 3.2.4: the last proxy on the way says it so
    rest = match[3] or b"/"
    return rest if rest[:1] == b"/" else b"/" + rest


def _without_port(authority: bytes, default: bytes) -> bytes:
    """RFC 9110 4.2.3: the scheme's own port, and an empty one, mean the same as none."""
    host, colon, port = authority.rpartition(b":")
    return host if colon and port in (b"", default) else authority


def _diagnose(head: bytes) -> RequestError:
    """Say which rule a head that does not match the grammar broke."""
    line, _, fields = head.partition(b"\r\n")
    if has_bare_lf(head):
        return RequestError(400, "bare_lf", "a line ends with LF alone")
    if BARE_CR.search(head):
        return RequestError(400, "bare_cr", "a CR that is not followed by LF")
    words = line.split(b" ")
    if len(words) != 3:
        return RequestError(400, "request_line", "the request line is not 'METHOD target HTTP/version'")
    method, target, version = words
    if re.match(_METHOD + rb"\Z", method) is None:
        return RequestError(400, "method_malformed", "the method is not a token of at most 32 characters without small letters")
    if version not in (b"HTTP/1.0", b"HTTP/1.1"):
        if re.match(rb"HTTP/[0-9]\.[0-9]\Z", version):
            return RequestError(505, "version", "an HTTP version other than 1.0 and 1.1")
        return RequestError(400, "version", "the HTTP version is malformed")
    if re.search(rb"[^!-~]", target) or not target:
        return RequestError(400, "target_bytes", "a byte in the request target that does not belong there")
    return _diagnose_fields(fields)


def _diagnose_fields(fields: bytes) -> RequestError:
    for line in fields.split(b"\r\n"):
        if line[:1] in (b" ", b"\t"):
            return RequestError(400, "obs_fold", "a field line that starts with white space")
        name, colon, value = line.partition(b":")
        if line and not colon:
            return RequestError(400, "field_line", "a field line without a colon")
        if line and TOKEN.match(name) is None:
            return RequestError(400, "field_name", "a field name that is empty or not a token")
        if re.search(rb"[^\t -~\x80-\xff]", value):
            return RequestError(400, "field_value", "a control byte in a field value")
    return RequestError(400, "malformed", "the head is malformed")
