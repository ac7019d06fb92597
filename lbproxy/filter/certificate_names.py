"""The lists of names by which a route lets in clients with certificates.

A certificate was verified before it comes here; what is asked is only whom it names. DNS names are exact, or anything below a
domain ("*.svc.example"); a wildcard in the certificate itself names nobody. In URIs a star stands for some of one segment, and two
stars at the end for everything below: "spiffe://example.org/ns/*/sa/web" is no "spiffe://example.org/ns/a/sa/b/sa/web".

A SPIFFE ID counts only where it is the certificate's one URI and in the form that it must have (SPIFFE's X.509-SVID 2 and SPIFFE-ID
2): of two nobody knows which one is meant.
"""

from __future__ import annotations

import re
from collections.abc import Sequence

LONGEST_ID = 2048
_ID = re.compile(r"spiffe://[a-z0-9._-]{1,255}(?:/[A-Za-z0-9._-]{1,255})+\Z")
_DOTS = ("/./", "/../")


class CertificateNames:
    """One route's lists: whoever is named by any entry of any of them may come in; empty ones let in whoever has a certificate."""

    def __init__(self, dns: Sequence[str], email: Sequence[str], uri: Sequence[str], spiffe: Sequence[str]) -> None:
        self._dns = frozenset(name for name in dns if not name.startswith("*."))
        self._domains = tuple(name[1:] for name in dns if name.startswith("*."))
        self._email = frozenset(name for name in email if not name.startswith("*@"))
        self._email_domains = tuple(name[1:] for name in email if name.startswith("*@"))
        self._uri = tuple(map(_pattern, uri))
        self._spiffe = tuple(map(_pattern, spiffe))
        self._anybody = not (dns or email or uri or spiffe)

    def admit(self, dns: Sequence[str], email: Sequence[str], uri: Sequence[str]) -> bool:
        """Whether a certificate with these alternative names may come in."""
        return (
            self._anybody
            or any(map(self._is_host, dns))
            or any(map(self._is_mailbox, email))
            or any(pattern.match(name) for pattern in self._uri for name in uri)
            or (len(uri) == 1 and is_spiffe_id(uri[0]) and any(pattern.match(uri[0]) for pattern in self._spiffe))
        )

    def _is_host(self, name: str) -> bool:
        name = name.lower().removesuffix(".")
        return "*" not in name and (name in self._dns or (name.endswith(self._domains) if self._domains else False))

    def _is_mailbox(self, name: str) -> bool:
        """The part in front of the @ as it is written, the domain in any case (RFC 5280 7.5)."""
        local, at, domain = name.rpartition("@")
        if not local or not at or "@" in local:
            return False
        domain = domain.lower()
        return f"{local}@{domain}" in self._email or f"@{domain}" in self._email_domains


def is_spiffe_id(uri: str) -> bool:
    """Whether it is one of a workload, in the form that it must have."""
    return len(uri) <= LONGEST_ID and _ID.match(uri) is not None and not any(dots in uri + "/" for dots in _DOTS)


def _pattern(written: str) -> re.Pattern[str]:
    """Each segment has one star at most (config/certificate_patterns.py): no input makes this slow."""
    below = written.endswith("/**")
    parts = (written[:-2] if below else written).split("*")
    return re.compile("[^/]+".join(map(re.escape, parts)) + (r"[^\s]+\Z" if below else r"\Z"))
