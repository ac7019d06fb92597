"""Cells, in which numbers are counted: 64 bits each, of memory that processes may share."""

from __future__ import annotations

from typing import Protocol


class Cells(Protocol):
    """What is needed of such memory; a `memoryview` of format "Q" has it, and a list."""

    def __getitem__(self, at: int, /) -> int: ...
    def __setitem__(self, at: int, value: int, /) -> None: ...
