"""Cache-Status (RFC 9211) and Age: what an answer tells of the cache, as field lines."""

from __future__ import annotations

_NAME = b"\r\nCache-Status: lbproxy"


def hit(ttl: float, age: int) -> bytes:
    """Out of the cache; `ttl`: seconds that it is fresh for still."""
    return b"%b; hit; ttl=%d\r\nAge: %d" % (_NAME, int(ttl // 1), age)


def forwarded(why: bytes, status: int = 0, *, stored: bool = False, collapsed: bool = False, detail: str = "") -> bytes:
    """The backend was asked; `why`: by the RFC (bypass, method, uri-miss, vary-miss, request, stale); `status`: what it said, where
    the client gets another one."""
    line = b"%b; fwd=%b" % (_NAME, why)
    if status:
        line += b"; fwd-status=%d" % status
    line += (b"; stored" if stored else b"") + (b"; collapsed" if collapsed else b"")
    return line + (b"; detail=" + detail.encode("ascii") if detail else b"")
