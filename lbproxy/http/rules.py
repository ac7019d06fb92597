"""Rules by which a route refuses requests for what they say: method, path and fields.

Patterns are texts with stars (globs.py). A path is looked at in its normal form (target.py), the one that is forwarded, so no
spelling of it passes by; names of fields and their values are compared without regard to case.
"""

from __future__ import annotations

from typing import NamedTuple

from lbproxy.config.model import RefuseConfig
from lbproxy.globs import Glob
from lbproxy.http.fields import values
from lbproxy.http.message import RequestHead


class Rule(NamedTuple):
    """Refuses the requests that all of it fits; what is None fits every request."""

    name: str
    methods: frozenset[bytes] | None
    path: Glob | None
    header: bytes | None
    value: Glob | None
    without: bytes | None

    def refuses(self, head: RequestHead) -> bool:
        """Whether everything fits."""
        if self.methods is not None and head.method not in self.methods:
            return False
        if self.path is not None and not self.path.matches(head.path):
            return False
        if self.without is not None and any(True for _ in values(head, self.without)):
            return False
        if self.header is None:
            return True
        found = values(head, self.header)
        return any(self.value is None or self.value.matches(value.lower()) for value in found)


def make_rule(refuse: RefuseConfig) -> Rule:
    """From the configuration."""
    return Rule(
        refuse.name,
        frozenset(method.encode() for method in refuse.methods) or None,
        None if refuse.path is None else Glob(refuse.path.encode()),
        None if refuse.header is None else refuse.header.lower().encode(),
        None if refuse.value is None else Glob(refuse.value.encode("latin-1").lower()),
        None if refuse.without is None else refuse.without.lower().encode(),
    )
