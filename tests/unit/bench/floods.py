"""Floods that last as long as it takes until they have done what a test is about."""

from __future__ import annotations

from collections.abc import Callable

from bench.attacks.flood import Moved, flood
from bench.attacks.h2_shapes import H2Shape
from bench.attacks.shapes import Shape


def flooded(shape: Shape | H2Shape, port: int, enough: Callable[[Moved], bool]) -> Moved:
    """The first flood that was long enough; the longest one if none was."""
    for seconds in (0.3, 2.0, 8.0, 30.0):
        moved = flood(shape, port, seconds)
        if enough(moved):
            break
    return moved
