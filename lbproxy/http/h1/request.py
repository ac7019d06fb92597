"""A request head from bytes to a checked RequestHead. Nothing of a message that is refused here ever reaches a backend.

The hot path is one match over the whole head, one scan for the fields that decide something, and framing on the result. Which rule
a refused head broke is found out afterwards, in `_diagnose`, where time does not matter.
"""

from __future__ import annotations

import re

from lbproxy.errors import RequestError
from lbproxy.http.framing import request_body
from lbproxy.http.grammar import BARE_CR, BARE_LF, FIELD_LINES, HOST, TCHAR, TOKEN, scanner
from lbproxy.http.message import NO_BODY, RequestHead, Special
from lbproxy.http.target import split_target

_HEAD = re.compile(rb"([" + TCHAR + rb"]{1,32}+) ([!-~]++) HTTP/1\.([01])" + FIELD_LINES)

SPECIAL_NAMES = (
    # framing and routing
    b"host",
    b"content-length",
    b"transfer-encoding",
    b"expect",
    # hop by hop (RFC 9110 7.6.1, and those that RFC 2616 13.5.1 listed)
    b"connection",
    b"keep-alive",
    b"proxy-connection",
    b"proxy-authorization",
    b"proxy-authenticate",
    b"te",
    b"trailer",
    b"upgrade",
    b"http2-settings",
    # ours to say
    b"x-forwarded-for",
    b"x-forwarded-proto",
    b"x-forwarded-host",
    b"x-forwarded-port",
    b"x-forwarded-server",
    b"x-forwarded-ssl",
    b"x-real-ip",
    b"forwarded",
    b"via",
)
_SPECIAL = scanner(SPECIAL_NAMES)
_REFUSED_METHODS = {
    b"CONNECT": ("method_connect", "CONNECT is for forward proxies"),
    b"TRACE": ("method_trace", "TRACE would show a client what proxies add"),
}
# Fields that Connection may not make disappear: dropping them would change who the client is or where the message ends.
_NOT_NOMINABLE = re.compile(
    rb"(?:x-forwarded-.*|x-real-ip|forwarded|host|authorization|cookie|content-length|transfer-encoding|via|expect)\Z"
)
NOTHING: tuple[bytes, ...] = ()
_HOSTS_KEPT = 512
_hosts: dict[bytes, bytes] = {}
"""Checked Host values of this process and what they route on: hosts repeat, and a look-up is a tenth of the match."""


def parse_request(head: bytes, max_line: int, max_fields: int) -> RequestHead:
    """`head`: from the first byte of the request line to the empty line, both included. Raises RequestError."""
    match = _HEAD.match(head)
    if match is None:
        raise _diagnose(head)
    method, target, minor_digit, block = match.groups()
    if match.end(3) > max_line:
        raise RequestError(414, "request_line_too_long", f"request line of {match.end(3)} bytes, at most {max_line}")
    if block.count(b"\n") > max_fields:
        raise RequestError(431, "too_many_fields", f"more than {max_fields} fields")
    if method in _REFUSED_METHODS:
        raise RequestError(405, *_REFUSED_METHODS[method])
    minor = 1 if minor_digit == b"1" else 0
    lowered = block.lower()
    specials: list[Special] = _SPECIAL.findall(lowered)
    if len(specials) == 1:  # as a rule: Host alone
        body, keep_alive, expect, upgrade, nominated = NO_BODY, minor == 1, False, b"", NOTHING
        name, authority = specials[0]
        if name != b"host":
            raise RequestError(400, "host_missing", "no Host")
    else:
        body, keep_alive, expect, upgrade, nominated = _decide(specials, minor)
        authority = _only_host(specials)
    host = _hosts.get(authority) or _host(authority)
    if target[0] == 0x2F:  # "/"
        path, target = split_target(target)
    else:
        path, target = _other_form(method, target, authority)
    return RequestHead(
        method, target, path, host, authority, minor, body, keep_alive, expect, upgrade, block, lowered, specials, nominated
    )


def _decide(specials: list[Special], minor: int) -> tuple[int, bool, bool, bytes, tuple[bytes, ...]]:
    """(body, keep_alive, expect_continue, upgrade, nominated) from the fields that decide them."""
    lengths: list[bytes] = []
    codings: list[bytes] = []
    connection = expect = upgrade = b""
    for name, raw in specials:
        if name == b"connection":
            connection = connection + b"," + raw if connection else raw
        elif name == b"content-length":
            lengths.append(raw.rstrip(b" \t"))
        elif name == b"transfer-encoding":
            codings.append(raw.rstrip(b" \t"))
        elif name == b"expect":
            expect = expect + b"," + raw if expect else raw.rstrip(b" \t")
        elif name == b"upgrade":
            upgrade = raw.rstrip(b" \t")
    if expect and expect != b"100-continue":
        raise RequestError(417, "expectation", "an expectation other than 100-continue")
    body = request_body(lengths, codings, minor) if lengths or codings else NO_BODY
    if minor and (not connection or connection == b"keep-alive"):
        return body, True, bool(expect), b"", NOTHING
    options = [option.strip(b" \t") for option in connection.split(b",")]
    keep_alive = b"close" not in options and (minor == 1 or b"keep-alive" in options)
    if b"upgrade" not in options or minor == 0:
        upgrade = b""
    return body, keep_alive, bool(expect) and minor == 1, upgrade, nominated_fields(options)


def nominated_fields(options: list[bytes]) -> tuple[bytes, ...]:
    """Which fields a Connection field makes hop-by-hop, beyond the standard ones; those it may not touch are left out."""
    return tuple(
        option
        for option in options
        if option not in (b"", b"close", b"keep-alive", b"upgrade", b"te") and _NOT_NOMINABLE.match(option) is None
    )


def _only_host(specials: list[Special]) -> bytes:
    """RFC 9112 3.2: exactly one Host. With two, this proxy would route on one and the backend might serve the other."""
    found = [value for name, value in specials if name == b"host"]
    if not found:
        raise RequestError(400, "host_missing", "no Host")
    if len(found) > 1:
        raise RequestError(400, "host_repeated", "more than one Host")
    return found[0]


def _host(authority: bytes) -> bytes:
    """Host's value (lower case) -> the host to route on, remembered. Raises RequestError(400)."""
    match = HOST.match(authority.rstrip(b" \t"))
    if match is None:
        raise RequestError(400, "host_malformed", "Host is not a host with an optional port")
    if match[2] is not None and int(match[2]) > 65535:
        raise RequestError(400, "host_malformed", "the port in Host is above 65535")
    host = match[1]
    if host[-1] == 0x2E:
        host = host[:-1]
    if len(_hosts) >= _HOSTS_KEPT:
        _hosts.clear()  # a client that sends endless hosts costs a re-match, never memory
    _hosts[authority] = host
    return host


_ABSOLUTE = re.compile(rb"(?i:https?)://([^/?#@]++)([/?].*)?\Z")


def _other_form(method: bytes, target: bytes, authority: bytes) -> tuple[bytes, bytes]:
    """(path, target to forward) of absolute-form and asterisk-form (RFC 9112 3.2.2, 3.2.4)."""
    if target == b"*":
        if method != b"OPTIONS":
            raise RequestError(400, "target_form", "'*' is for OPTIONS alone")
        return b"*", b"*"
    match = _ABSOLUTE.match(target)
    if match is None:
        raise RequestError(400, "target_form", "the request target is neither a path, nor an http URL without userinfo, nor '*'")
    if match[1].lower() != authority.rstrip(b" \t"):
        # RFC 9112 3.2.2 lets the target win; a backend that reads Host instead would see another site.
        raise RequestError(400, "target_host_mismatch", "the URL's host and Host disagree")
    rest = match[2] or b"/"
    return split_target(rest if rest[:1] == b"/" else b"/" + rest)


def _diagnose(head: bytes) -> RequestError:
    """Say which rule a head that does not match the grammar broke."""
    line, _, fields = head.partition(b"\r\n")
    if BARE_LF.search(head):
        return RequestError(400, "bare_lf", "a line ends with LF alone")
    if BARE_CR.search(head):
        return RequestError(400, "bare_cr", "a CR that is not followed by LF")
    words = line.split(b" ")
    if len(words) != 3:
        return RequestError(400, "request_line", "the request line is not 'METHOD target HTTP/version'")
    method, target, version = words
    if TOKEN.match(method) is None or len(method) > 32:
        return RequestError(400, "method_malformed", "the method is not a token of at most 32 characters")
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
