"""The error of a PROXY header that cannot be one."""

from __future__ import annotations

from lbproxy.errors import LbproxyError


class BadHeader(LbproxyError):
    """The bytes are no PROXY header that could be read in one way; the text is a reason for log and counters."""
