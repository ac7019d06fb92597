"""Lost access lines: counted, told while it lasts, and told when it is over."""

from __future__ import annotations

import json

import pytest

from lbproxy.config.model import LogConfig
from lbproxy.observe import log
from lbproxy.observe.log import Noisy
from lbproxy.worker.access_losses import AccessLosses
from lbproxy.worker.log_writer import LogWriter, Lost


class Scripted(LogWriter):
    """Loses what the test says."""

    def __init__(self) -> None:
        self.lost = Lost(0, "")
        self.good = True

    @property
    def flows(self) -> bool:
        return self.good

    def take_lost(self) -> Lost:
        taken, self.lost = self.lost, Lost(0, "")
        return taken


def test_a_full_disk_from_its_beginning_to_its_end(capfd: pytest.CaptureFixture[str]) -> None:
    """Each loss is counted; the end is told once, with the sum."""
    log.configure(LogConfig(format="json"), role="worker")
    counted: list[int] = []
    writer = Scripted()
    losses = AccessLosses(writer, counted.append, Noisy(burst=2, clock=lambda: 0.0))
    losses.look()
    for _ in range(4):
        writer.lost, writer.good = Lost(3, "No space left on device"), False
        losses.look()
    losses.refused(5)
    losses.look()  # nothing new, and not over
    writer.good = True
    losses.look()
    losses.look()
    assert counted == [3, 3, 3, 3, 5]
    told = [json.loads(line) for line in capfd.readouterr().err.splitlines()]
    assert [(event["event"], event.get("why"), event.get("lost")) for event in told] == [
        ("access_log.dropped", "No space left on device", None),
        ("access_log.dropped", "No space left on device", None),
        ("access_log.resumed", None, 17),
    ]
