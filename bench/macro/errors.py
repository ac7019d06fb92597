"""What the harness cannot do, as opposed to figures it does not like."""

from __future__ import annotations


class BenchError(Exception):
    """The harness itself failed: a tool is missing, a proxy did not start, or it does not do the work that the others do."""
