"""A configuration in a line: two that say the same have the same digest, however they are written."""

from __future__ import annotations

import hashlib

from lbproxy.config.emit import emit
from lbproxy.config.model import Config


def digest(config: Config) -> str:
    """SHA-256 of the effective text. What stands in files that it names has no part in it."""
    return hashlib.sha256(emit(config).encode("utf-8", "surrogateescape")).hexdigest()
