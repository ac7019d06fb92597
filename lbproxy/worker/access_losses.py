"""Access lines that could not be kept: counted in the ledger, told while it lasts (at a bounded rate), and when it is over."""

from __future__ import annotations

from collections.abc import Callable

from lbproxy.observe.log import Noisy, get_logger
from lbproxy.worker.log_writer import LogWriter

TOO_SLOW = "the log is too far behind"


class AccessLosses:
    """Counts and tells the access lines that one worker has lost."""

    def __init__(self, writer: LogWriter, count: Callable[[int], None], noisy: Noisy) -> None:
        """`count` adds to the metric."""
        self._writer = writer
        self._count = count
        self._noisy = noisy
        self._lines = 0
        """Since it was told to be over."""

    def refused(self, lines: int) -> None:
        """The writer did not take them."""
        self._dropped(lines, TOO_SLOW)

    def look(self) -> None:
        """To be called now and then: what became of those that it took."""
        lost = self._writer.take_lost()
        if lost.lines:
            self._dropped(lost.lines, lost.why)
        elif self._lines and self._writer.flows:
            get_logger().warning("access_log.resumed", lost=self._lines)
            self._lines = 0

    def _dropped(self, lines: int, why: str) -> None:
        self._lines += lines
        self._count(lines)
        self._noisy.warning("access_log.dropped", lines=lines, why=why)
