"""Memory for what can be worked out again, bounded by a number of bytes, never by a number of things.

What a peer sends decides how large a thing is: so many values, or addresses, or heads "at most" is as much memory as a peer likes.
Memories that are filled by peers therefore draw on a budget. When it is used up, all that draw on it begin anew: that costs whoever
comes back one more look, and whoever invents things nothing but his own work.
"""

from __future__ import annotations

from typing import TypeVar

Key = TypeVar("Key")
Value = TypeVar("Value")


class Budget:
    """Bytes that some memories of one process share. A memory is a dict, so that looking something up is no more than that."""

    __slots__ = ("_memories", "_most", "used")

    def __init__(self, most: int) -> None:
        """`most`: bytes."""
        self._most = most
        self._memories: list[dict[object, object]] = []
        self.used = 0
        """Bytes, as those who keep something reckon them."""

    def __repr__(self) -> str:
        return f"<Budget {self.used} of {self._most} bytes in {len(self._memories)} memories>"

    def draws(self, memory: dict[Key, Value]) -> dict[Key, Value]:
        """This memory draws on the budget from now on."""
        self._memories.append(memory)  # type: ignore[arg-type]  # it is only ever emptied
        return memory

    def keep(self, memory: dict[Key, Value], key: Key, value: Value, size: int) -> None:
        """Remember it: `size` bytes with all that belongs to it. What is larger than the budget is not remembered."""
        if size > self._most:
            return
        if self.used + size > self._most:
            for each in self._memories:
                each.clear()
            self.used = 0
        memory[key] = value
        self.used += size
