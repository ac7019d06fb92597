"""A request's fields, as HTTP/2 has them, to the very RequestHead that HTTP/1 gives: what cannot be said there is refused
here.

Theory of operation. Routing, rewriting and forwarding know one kind of head, whose fields are one block of HTTP/1 lines. So
the fields are laid out as such a head, and http/h1/request.py reads it: targets, hosts, lengths and names obey the same
rules because they are the same rules. That is safe only if laying out cannot make something else of a field: two lines of
one ("downgrade" attacks put CRLF into a value), another name (a colon in it), a request line that ends early (blanks in
:path). Hence each name is checked before it is used, each pseudo-field's value against its grammar, and the block must have
as many lines as were laid out. libnghttp2 has looked at most of that as well (RFC 9113 8.2.1); that it goes on to do so is
nothing to rely on.

A client says nearly the same again and again. Equal fields are the same head, the same object even, which is what later
steps recognise; when only the path differs, the lines are those of last time.
"""

from __future__ import annotations

import re
from collections.abc import Callable

from lbproxy.errors import RequestError
from lbproxy.http.grammar import TCHAR, count_fields
from lbproxy.http.h1.request import LastFields, parse_request
from lbproxy.http.h2.vocabulary import Fields
from lbproxy.http.message import FIELDS_KEPT, RequestHead

_NAME = re.compile(rb"[" + TCHAR.replace(b"A-Z", b"") + rb"]++\Z")
# RFC 9113 8.3.1: what follows must stand between two blanks of a request line.
_METHOD = re.compile(rb"[" + TCHAR + rb"]++\Z")
_TARGET = re.compile(rb"(?:/[!-~]*+|\*)\Z")
_AUTHORITY = re.compile(rb"[!-~]++\Z")

_OF_A_CONNECTION = (b"connection", b"http2-settings", b"keep-alive", b"proxy-connection", b"transfer-encoding", b"upgrade")
"""RFC 9113 8.2.2: with any of them a message is malformed. Somewhere behind us they would frame it."""
_PSEUDO = (b":method", b":scheme", b":authority", b":path", b":protocol")
_NAMES_KEPT = 512
_LONGEST_KEPT = 64
_lines: dict[bytes, bytes] = {}
"""Names that were found sound in this process, and how a line of theirs begins: they repeat, a look-up is a tenth of the match."""

_TE = b"\r\nconnection: TE\r\nte: "
_CHUNKED = b"\r\nTransfer-Encoding: chunked"
_WEBSOCKET = b"\r\nConnection: Upgrade\r\nUpgrade: websocket\r\nSec-WebSocket-Key: "


def no_key() -> bytes:
    """No WebSockets are served."""
    return b""


def malformed(reason: str, detail: str) -> RequestError:
    """RFC 9113 8.1.1."""
    return RequestError(400, reason, detail)


class RequestFields:
    """Makes heads of the field blocks of one connection's requests."""

    __slots__ = (
        "_authority", "_backslash", "_ended", "_fields", "_head", "_known", "_last", "_lines",
        "_max_fields", "_max_head", "_max_line", "_regular",
    )  # fmt: skip

    def __init__(self, max_line: int, max_fields: int, max_head: int, backslash: bool = False) -> None:
        """`max_head`: bytes of a head, as HTTP/1 would have it; the others as for parse_request."""
        self._max_line = max_line
        self._max_fields = max_fields
        self._max_head = max_head
        self._backslash = backslash
        self.forget()

    def forget(self) -> None:
        """Hold no memory for a client that is idle."""
        self._fields: Fields = ()
        self._ended = False
        self._head: RequestHead | None = None
        self._last: LastFields | None = None
        self._regular: Fields = ()
        self._authority = b""
        self._lines = b""
        self._known = False

    def read(self, fields: Fields, ended: bool, key: Callable[[], bytes] = no_key) -> RequestHead:
        """What they mean; `ended`: there is no body. Raises RequestError.

        `key`: makes what is said as Sec-WebSocket-Key if they ask for a WebSocket (RFC 8441 5); b"": that is not served.
        """
        head = self._head
        if head is not None and ended == self._ended and fields == self._fields:
            return head
        pseudo, count = _pseudo(fields)
        method, target, authority, protocol = _request_line(pseudo)
        regular = fields[count:]
        if protocol:
            return self._tunnel(target, authority, regular, key())
        if not self._lines or regular != self._regular or authority != self._authority:
            self._lay_out(authority, regular)
        lines = self._lines if ended or self._known else self._lines + _CHUNKED
        head = self._parse(method, target, lines)
        if len(lines) <= FIELDS_KEPT:
            self._fields, self._ended, self._head = fields, ended, head
        else:
            self._lines, self._regular = b"", ()
        return head

    def _parse(self, method: bytes, target: bytes, lines: bytes) -> RequestHead:
        head = b"%b %b HTTP/1.1%b\r\n\r\n" % (method, target, lines)
        if len(head) > self._max_head:
            raise RequestError(431, "head_too_large", f"a head of {len(head)} bytes, at most {self._max_head}")
        if self._last is None:
            self._last = LastFields()
        return parse_request(head, self._max_line, self._max_fields, self._last, self._backslash)

    def _lay_out(self, authority: bytes, regular: Fields) -> None:
        """Regular fields to lines, Host in front."""
        self._lines = b""
        host, lines, known = _lay_out(regular)
        if host is not None:
            if authority and authority.lower() != host.lower():
                # RFC 9113 8.3.1: they must not disagree; the one would be routed on and the other read.
                raise malformed("host_mismatch", ":authority and Host disagree")
            authority = authority or host
        if not authority:
            raise malformed("host_missing", "neither :authority nor Host")
        if _AUTHORITY.match(authority) is None:
            raise malformed("host_malformed", "a byte in the host that does not belong there")
        self._lines = b"\r\nHost: " + authority + lines
        self._regular, self._authority, self._known = regular, authority if host is None else b"", known

    def _tunnel(self, target: bytes, authority: bytes, regular: Fields, key: bytes) -> RequestHead:
        """A WebSocket as HTTP/1 asks for it (RFC 8441 5.1). Its body is the tunnel's: the head has none."""
        if not key:
            raise RequestError(501, "connect_protocol", "no other protocols are carried here")
        if any(name in (b"sec-websocket-key", b"content-length") for name, _ in regular):
            raise malformed("connect_fields", "a field that a WebSocket over HTTP/2 does not have")
        self._lay_out(authority, regular)
        lines, self._lines = self._lines, b""
        return self._parse(b"GET", target, lines + _WEBSOCKET + key)


def _pseudo(fields: Fields) -> tuple[dict[bytes, bytes], int]:
    """Pseudo-fields and how many there are. RFC 9113 8.3: in front of all others, each known and once."""
    found: dict[bytes, bytes] = {}
    count = 0
    for name, value in fields:
        if name[:1] != b":":
            break
        if name not in _PSEUDO:
            raise malformed("pseudo_unknown", "a pseudo-field that no request has")
        if name in found:
            raise malformed("pseudo_repeated", "a pseudo-field twice")
        found[name] = value
        count += 1
    return found, count


def _request_line(pseudo: dict[bytes, bytes]) -> tuple[bytes, bytes, bytes, bytes]:
    """(method, target, authority, protocol), each checked as far as a request line can be broken by it."""
    method = pseudo.get(b":method", b"")
    if _METHOD.match(method) is None:
        raise malformed("method_malformed", "no method, or one that is not a token")
    authority = pseudo.get(b":authority", b"")
    target = pseudo.get(b":path")
    scheme = pseudo.get(b":scheme")
    protocol = pseudo.get(b":protocol")
    if method == b"CONNECT" and protocol is None:
        if target is not None or scheme is not None or not authority:
            raise malformed("connect_malformed", "CONNECT has an :authority, and neither :scheme nor :path (RFC 9113 8.5)")
        raise RequestError(405, "method_connect", "CONNECT is for forward proxies")
    if protocol is not None:
        if method != b"CONNECT":
            raise malformed("connect_malformed", ":protocol is for CONNECT alone (RFC 8441 4)")
        if protocol.lower() != b"websocket":
            raise RequestError(501, "connect_protocol", "of other protocols only websocket is carried")
    if scheme is None or scheme not in (b"https", b"http"):
        raise malformed("scheme", "no :scheme, or one that is neither http nor https")
    if target is None or _TARGET.match(target) is None:
        raise malformed("target_form", "no :path, or one that is neither a path nor '*'")
    return method, target, authority, protocol or b""


def _lay_out(fields: Fields) -> tuple[bytes | None, bytes, bool]:
    """(Host, if there is one; the lines of all other fields; Content-Length is among them). Raises RequestError."""
    laid: list[bytes] = []
    cookies: list[bytes] = []
    host = None
    known = False
    wants_trailers = 0
    known_lines = _lines
    for name, value in fields:
        begin = known_lines.get(name)
        if begin is None:
            begin = _begin_of_line(name)
        if value[:1] in (b" ", b"\t") or value[-1:] in (b" ", b"\t"):
            raise malformed("field_value", "a field value with white space around it")
        if name == b"cookie":  # RFC 9113 8.2.3: split for compression; there is one on HTTP/1
            cookies.append(value)
            continue
        if name == b"host":
            if host is not None:
                raise malformed("host_repeated", "more than one Host")
            host = value
            continue
        if name == b"te":
            if value.lower() != b"trailers":
                raise malformed("te", "TE says more than trailers")
            begin = _TE  # as HTTP/1 has it: for this hop
            wants_trailers += 1
        known = known or name == b"content-length"
        laid.append(begin)
        laid.append(value)
    if cookies:
        laid.append(b"\r\ncookie: ")
        laid.append(b"; ".join(cookies))
    block = b"".join(laid)
    if count_fields(block) != len(laid) // 2 + wants_trailers:
        raise malformed("field_value", "a control byte in a field value")
    return host, block, known


def _begin_of_line(name: bytes) -> bytes:
    if name[:1] == b":":
        raise malformed("pseudo_late", "a pseudo-field behind other fields")
    if _NAME.match(name) is None:
        raise malformed("field_name", "a field name that is empty, not a token, or not in lower case")
    if name in _OF_A_CONNECTION:
        raise malformed("connection_field", "a field of HTTP/1's connections")
    begin = b"\r\n" + name + b": "
    if len(name) <= _LONGEST_KEPT:
        if len(_lines) >= _NAMES_KEPT:
            _lines.clear()  # a client that sends endless names costs a match each, never memory
        _lines[name] = begin
    return begin
