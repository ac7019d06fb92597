"""Alerts of TLS (RFC 8446 6) that are said in place of a handshake, by whoever shows no certificate."""

from __future__ import annotations

INTERNAL_ERROR, UNRECOGNIZED_NAME, DECODE_ERROR = 80, 112, 50
_RECORD = b"\x15\x03\x03\x00\x02"
_FATAL = 2


def fatal(description: int) -> bytes:
    """The record; a client that waits for an answer to its hello takes it whatever version it speaks."""
    return _RECORD + bytes((_FATAL, description))
