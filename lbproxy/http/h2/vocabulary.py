"""Words of HTTP/2 that several files here speak."""

from __future__ import annotations

import enum
from typing import NamedTuple

Field = tuple[bytes, bytes]
Fields = tuple[Field, ...]
"""As they stand in a message, pseudo-fields first."""

PREFACE = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n"
"""RFC 9113 3.4: what a client says first."""

USUAL_PRECEDENCE = 6
"""RFC 9218 4: urgency 3, not incremental, as Session.precedence puts it into one number."""


class H2Code(enum.IntEnum):
    """The error codes of RFC 9113 section 7."""

    NO_ERROR = 0x0
    PROTOCOL_ERROR = 0x1
    INTERNAL_ERROR = 0x2
    FLOW_CONTROL_ERROR = 0x3
    SETTINGS_TIMEOUT = 0x4
    STREAM_CLOSED = 0x5
    FRAME_SIZE_ERROR = 0x6
    REFUSED_STREAM = 0x7
    CANCEL = 0x8
    COMPRESSION_ERROR = 0x9
    CONNECT_ERROR = 0xA
    ENHANCE_YOUR_CALM = 0xB
    INADEQUATE_SECURITY = 0xC
    HTTP_1_1_REQUIRED = 0xD


class Failure(NamedTuple):
    """Why a connection cannot go on."""

    code: int
    reason: str
    """A word for the log and for counting."""
