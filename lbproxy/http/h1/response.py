"""A response head from bytes to a checked ResponseHead.

The backend is not trusted more than the client: what is ambiguous becomes a 502.
"""

from __future__ import annotations

import re

from lbproxy.errors import RefusedAnswer
from lbproxy.http.forwarding import without
from lbproxy.http.framing import misplaced, response_body
from lbproxy.http.grammar import CONTENT_LENGTH, FIELD_BYTES, count_fields, scanner
from lbproxy.http.h1.deciding_fields import MAX_OPTIONS, NOTHING, gather, keeps_alive, nominated_fields, options_of
from lbproxy.http.h1.head_scan import HeadScan
from lbproxy.http.message import UNTIL_CLOSE, ResponseHead, Special

# RFC 9112 4: the reason phrase may be absent, and then so is its space in what many servers send; that hides nothing.
_LINE = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: ([" + FIELD_BYTES + rb"]*+))?\Z")

_SPECIAL = scanner(
    (
        b"content-length",
        b"transfer-encoding",
        b"connection",
        b"keep-alive",
        b"proxy-connection",
        b"proxy-authenticate",
        b"te",
        b"trailer",
        b"upgrade",
    )
)


def parse_response(head: bytes, method: bytes, max_fields: int) -> ResponseHead:
    """`head`: from the status line to the empty line, both included; `method`: of the request it answers. Raises RefusedAnswer."""
    end = head.find(b"\r\n")
    block = head[end:-4]
    line = _LINE.match(head, 0, end)
    fields = count_fields(block)
    if line is None or fields < 0:
        raise RefusedAnswer(HeadScan().look(head) or "response_malformed", "the backend's response head is malformed")
    if fields > max_fields:
        raise RefusedAnswer("response_too_many_fields", f"{fields} fields in the backend's response, at most {max_fields}")
    minor_digit, status_digits, reason = line.groups()
    minor = 1 if minor_digit == b"1" else 0
    status = int(status_digits)
    lowered = block.lower()
    specials: list[Special] = _SPECIAL.findall(lowered)
    undated = status >= 200 and lowered.find(b"\r\ndate:") < 0
    if status >= 200 and status != 204 and status != 304 and method != b"HEAD":
        # The everyday case: one Content-Length, and perhaps one plain Connection. Anything else goes the long way round.
        said = dict(specials)
        bad = status >= 500
        length = said.get(b"content-length")
        if length is not None and len(said) == len(specials) <= 2 and CONTENT_LENGTH.match(length):
            if len(said) == 1:
                keep = minor == 1
                return ResponseHead(
                    status, reason or b"", minor, int(length), keep, b"", block, lowered, specials, NOTHING, False, bad, undated
                )
            if said.get(b"connection") == b"keep-alive":
                return ResponseHead(
                    status, reason or b"", minor, int(length), True, b"", block, lowered, specials, NOTHING, True, bad, undated
                )
    return _by_all_fields(minor, status, reason or b"", method == b"HEAD", block, lowered, specials, undated)


def _by_all_fields(
    minor: int, status: int, reason: bytes, to_head: bool, block: bytes, lowered: bytes, specials: list[Special], undated: bool
) -> ResponseHead:
    """What the head says when every field that decides something is looked at. Raises RefusedAnswer."""
    lengths, codings, connection, upgrade, _, _ = gather(specials)
    body = response_body(to_head, status, lengths, codings, minor)
    keep_alive, nominated = minor == 1, NOTHING
    if connection == b"keep-alive":
        keep_alive = True
    elif connection:
        options = options_of(connection)
        if options is None:
            raise RefusedAnswer("response_connection_options", f"more than {MAX_OPTIONS} options in the response's Connection")
        keep_alive = keeps_alive(options, minor)
        nominated = nominated_fields(options)
        undated = undated or (status >= 200 and b"date" in nominated)  # it is about to lose it
    if body == UNTIL_CLOSE:
        keep_alive = False
    elif (status == 204 or status == 304) and misplaced(status, lengths, codings):
        keep_alive = False
        if lengths:
            block = without(block, (b"content-length",))
            lowered = block.lower()
    noted = not 200 <= status < 500
    return ResponseHead(
        status, reason, minor, body, keep_alive, upgrade, block, lowered, specials, nominated, False, noted, undated
    )
