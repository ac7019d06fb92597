"""A greenlet that is parked until another one of its worker has something for it."""

from __future__ import annotations

from lbproxy.streams import Strand, Strands


class Parked:
    """Where one greenlet at a time waits, and others wake it. It may be woken by something else (a client that left is thrown in),
    and for what has gone by meanwhile: whoever waits looks again."""

    __slots__ = ("_strand", "_strands")

    def __init__(self, strands: Strands) -> None:
        self._strands = strands
        self._strand: Strand | None = None

    def wait(self) -> None:
        """Until it is woken. Raises what is thrown into the greenlet."""
        self._strand = self._strands.current()
        try:
            self._strands.park()
        finally:
            self._strand = None

    def wake(self) -> None:
        """At the loop's next turn, unless something else has done it by then."""
        if self._strand is not None:
            self._strands.later(self._go_on)

    def forget(self) -> None:
        """It is not to be woken any more."""
        self._strand = None

    def _go_on(self) -> None:
        strand, self._strand = self._strand, None
        if strand is not None:
            strand.switch()
