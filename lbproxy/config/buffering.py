"""What is taken in whole before it is passed on: the keys buffer_requests, buffer_responses and buffer_file of [pool.NAME]."""

from __future__ import annotations

from typing import NamedTuple

from lbproxy.config import values
from lbproxy.config.model import MIB, Pool
from lbproxy.config.tables import Table

MOST_IN_MEMORY = 256 * MIB
"""Of one body: each of thousands may take so much."""


class Buffering(NamedTuple):
    buffer_requests: int
    buffer_responses: int
    buffer_file: int


def read_buffering(table: Table) -> Buffering:
    """From a pool's table."""
    default = Pool("", ())
    buffering = Buffering(
        table.take("buffer_requests", values.size(0, MOST_IN_MEMORY), default.buffer_requests),
        table.take("buffer_responses", values.size(0, MOST_IN_MEMORY), default.buffer_responses),
        table.take("buffer_file", values.size(0, values.MOST_BYTES), default.buffer_file),
    )
    if "buffer_file" in table and not (buffering.buffer_requests or buffering.buffer_responses):
        hint = 'add buffer_requests = "64KiB" or buffer_responses = "64KiB"'
        table.complain("buffer_file", "means nothing where nothing is buffered", hint)
    return buffering
