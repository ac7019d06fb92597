"""Date (RFC 9110 6.6.1): a recipient with a clock puts one on an answer that has none, and so does whoever answers himself.

Making one costs as much as a small request, so a worker makes one a second and everybody takes the same bytes.
"""

from __future__ import annotations

from email.utils import formatdate


def date_line(second: int) -> bytes:
    """For a second of the wall clock, with its CRLF in front."""
    return b"\r\nDate: " + formatdate(second, usegmt=True).encode("ascii")
