"""Paths as figures are kept by them: few, whatever clients ask for, and without what tells of one user or one thing."""

from __future__ import annotations

import re

SEGMENTS = 3
"""What lies deeper is one path."""
LONGEST = 48
_ONE_OF_MANY = re.compile(r"\d+|(?=[^0-9]*[0-9])[\w.~%=+-]{16,}", re.ASCII)
"""A number, or what is long and has a digit: an UUID, a digest, a token."""
_UNSAFE = re.compile(r"[^!-~]")


def folded(path: str) -> str:
    """The first segments; * stands for a number, for what looks like an identifier or a token, and for what lies deeper."""
    segments = path.split("/")
    kept = ["*" if _ONE_OF_MANY.fullmatch(each) else each for each in segments[: SEGMENTS + 1]]
    if any(segments[SEGMENTS + 1 :]):
        kept[-1] = "*"
    told = _UNSAFE.sub("?", "/".join(kept))
    return told if len(told) <= LONGEST else told[: LONGEST - 1] + "*"
