"""A response head from bytes to a checked ResponseHead.

The backend is not trusted more than the client: what is ambiguous becomes a 502.
"""

from __future__ import annotations

import re

from lbproxy.errors import UpstreamError
from lbproxy.http.framing import response_body
from lbproxy.http.grammar import FIELD_BYTES, FIELD_LINES, scanner
from lbproxy.http.h1.request import NOTHING, nominated_fields
from lbproxy.http.message import NO_BODY, ResponseHead, Special

# RFC 9112 4: the reason phrase may be absent, and then so is its space in what many servers send; that hides nothing.
_HEAD = re.compile(rb"HTTP/1\.([01]) ([1-5][0-9][0-9])(?: ([" + FIELD_BYTES + rb"]*+))?" + FIELD_LINES)

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
    """`head`: from the status line to the empty line, both included; `method`: of the request it answers. Raises UpstreamError."""
    match = _HEAD.match(head)
    if match is None:
        raise UpstreamError(502, "response_malformed", "the backend's response head is malformed")
    minor_digit, status_digits, reason, block = match.groups()
    if block.count(b"\n") > max_fields:
        raise UpstreamError(502, "response_too_many_fields", f"more than {max_fields} fields in the backend's response")
    minor = 1 if minor_digit == b"1" else 0
    status = int(status_digits)
    lowered = block.lower()
    specials: list[Special] = _SPECIAL.findall(lowered)
    lengths: list[bytes] = []
    codings: list[bytes] = []
    connection = upgrade = b""
    for name, raw in specials:
        if name == b"content-length":
            lengths.append(raw.rstrip(b" \t"))
        elif name == b"transfer-encoding":
            codings.append(raw.rstrip(b" \t"))
        elif name == b"connection":
            connection = connection + b"," + raw if connection else raw
        elif name == b"upgrade":
            upgrade = raw.rstrip(b" \t")
    body = response_body(method == b"HEAD", status, lengths, codings, minor)
    keep_alive, nominated = minor == 1, NOTHING
    if connection and connection != b"keep-alive":
        options = [option.strip(b" \t") for option in connection.split(b",")]
        keep_alive = b"close" not in options and (minor == 1 or b"keep-alive" in options)
        nominated = nominated_fields(options)
    elif connection:
        keep_alive = True
    if body < NO_BODY - 1:  # UNTIL_CLOSE
        keep_alive = False
    return ResponseHead(status, reason or b"", minor, body, keep_alive, upgrade, block, lowered, specials, nominated)
