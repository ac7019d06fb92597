"""The entries of a route's client_certificate: which names in certificates it lets in, as the configuration writes them."""

from __future__ import annotations

import re

from lbproxy.config.units import ValueRefused, parse_name, show

_MAILBOX = re.compile(r"(?:\*|[!#-'+\-./0-9=?A-Z^_`a-z{|}~]{1,64})@")
_TRUST_DOMAIN = re.compile(r"spiffe://([^/]*)(/.*)?\Z", re.DOTALL)
_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:[!-~]+\Z")


def dns_name(value: object) -> str:
    """A name, or "*.svc.example" for everything below one."""
    if isinstance(value, str) and value.startswith("*."):
        return f"*.{parse_name(value[2:])}"
    return parse_name(value)


def mailbox(value: object) -> str:
    """ "ops@example.com", or "*@example.com" for everybody there."""
    found = _MAILBOX.match(value) if isinstance(value, str) else None
    if found is None or not isinstance(value, str):
        raise ValueRefused(f'wanted a mailbox such as "ops@example.com" or "*@example.com", got {show(value)}')
    return found[0] + parse_name(value[found.end() :])


def uri(value: object) -> str:
    """One of any scheme, with stars."""
    if not isinstance(value, str) or not _URI.match(value):
        raise ValueRefused(f'wanted a URI such as "https://ca.example/clients/*", got {show(value)}')
    return _with_stars(value)


def spiffe_id(value: object) -> str:
    """ "spiffe://trust-domain/path", with stars in the path alone."""
    found = _TRUST_DOMAIN.match(value) if isinstance(value, str) else None
    if found is None or not isinstance(value, str):
        raise ValueRefused(f'wanted a SPIFFE ID such as "spiffe://example.org/ns/*/sa/web", got {show(value)}')
    if not re.fullmatch(r"[a-z0-9._-]{1,255}", found[1]):
        message = f"wanted a trust domain of small letters, digits, dots and dashes, got {show(found[1])}"
        raise ValueRefused(message, "no star stands there")
    path = found[2] or ""
    if not re.fullmatch(r"(?:/[A-Za-z0-9._*-]+)+", path) or any(part in (".", "..") for part in path.split("/")):
        raise ValueRefused(f"wanted a path of letters, digits, dots, dashes and stars behind {found[1]}, got {show(path)}")
    return _with_stars(value)


def _with_stars(value: str) -> str:
    front = value[:-3] if value.endswith("/**") else value
    if any(part.count("*") > 1 for part in front.split("/")):
        hint = 'two stars stand at the end alone, for everything below: "/ns/a/**"'
        raise ValueRefused(f"wanted one star in a segment at most, got {show(value)}", hint)
    return value
