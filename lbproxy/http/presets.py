"""The presets security_headers and hsts as field lines.

A preset's fields go onto responses that do not have them: the application knows better. HSTS is said over TLS only (RFC 6797 7.2),
and also in lbproxy's own answers, since a client believes it in whatever answer it comes (8.1).
"""

from __future__ import annotations

from lbproxy.config.model import Hsts

PRESETS: dict[str, tuple[tuple[str, str], ...]] = {
    "off": (),
    # What hardly any site minds: no guessing of types, no foreign frames, no paths and queries to other sites.
    "basic": (
        ("X-Content-Type-Options", "nosniff"),
        ("X-Frame-Options", "SAMEORIGIN"),
        ("Referrer-Policy", "strict-origin-when-cross-origin"),
    ),
    # What the OWASP Secure Headers Project lists and needs no knowledge of the pages themselves. X-Frame-Options says the same as
    # frame-ancestors, for pages that bring a Content-Security-Policy of their own which does not.
    "strict": (
        ("X-Content-Type-Options", "nosniff"),
        ("X-Frame-Options", "DENY"),
        ("Referrer-Policy", "no-referrer"),
        ("Content-Security-Policy", "frame-ancestors 'none'; base-uri 'self'; object-src 'none'"),
        ("Cross-Origin-Opener-Policy", "same-origin"),
        ("Cross-Origin-Resource-Policy", "same-origin"),
        ("Permissions-Policy", "camera=(), geolocation=(), microphone=(), payment=(), usb=()"),
        ("X-Permitted-Cross-Domain-Policies", "none"),
    ),
}


def hsts_value(hsts: Hsts) -> str:
    """RFC 6797 6.1; "" when it is off."""
    if hsts.max_age < 0:
        return ""
    return f"max-age={hsts.max_age}{'; includeSubDomains' if hsts.subdomains else ''}{'; preload' if hsts.preload else ''}"


def defaults(security_headers: str, hsts: Hsts, *, secure: bool) -> tuple[tuple[str, str], ...]:
    """(name, value)s for responses that have no such field; `secure`: they go over TLS."""
    value = hsts_value(hsts) if secure else ""
    return (*PRESETS[security_headers], *((("Strict-Transport-Security", value),) if value else ()))
