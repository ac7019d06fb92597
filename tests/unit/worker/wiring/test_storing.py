"""What a worker's stores tell."""

from __future__ import annotations

import json

import pytest

from lbproxy.config.model import LogConfig
from lbproxy.observe import log
from lbproxy.observe.log import Noisy
from lbproxy.worker.wiring.storing import failing


def test_a_full_disk_is_told_once(capfd: pytest.CaptureFixture[str]) -> None:
    """With why; and not for each body that it has no room for."""
    log.configure(LogConfig(format="json"), role="worker")
    tell = failing(Noisy(burst=1, clock=lambda: 0.0))
    for _ in range(1000):
        tell("No space left on device")
    [line] = capfd.readouterr().err.splitlines()
    event = json.loads(line)
    assert (event["event"], event["why"]) == ("cache.files_failing", "No space left on device")
