"""What stands in for a scratch file."""

from __future__ import annotations

from lbproxy.errors import ScratchError
from lbproxy.streams import BLOCK


class FakeScratch:
    """See streams.Scratch; never waits."""

    def __init__(self) -> None:
        self.blocks: dict[int, bytes] = {}
        self.refuses = ""
        """Why writes fail."""
        self.written = 0

    def write(self, data: bytes) -> int:
        if self.refuses:
            raise ScratchError(self.refuses)
        assert 0 < len(data) <= BLOCK
        self.written += 1
        self.blocks[self.written] = data
        return self.written

    def read(self, block: int, size: int) -> bytes:
        if self.refuses == "I/O error":
            raise ScratchError(self.refuses)
        assert size == len(self.blocks[block])
        return self.blocks[block]

    def free(self, block: int) -> None:
        del self.blocks[block]
