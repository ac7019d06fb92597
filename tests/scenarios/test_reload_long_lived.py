"""What lasts longer than a generation: slow downloads and a tunnel live through reload after reload."""

from __future__ import annotations

import os
import time
from dataclasses import replace

from bench.reload.load import Load, told
from tests.conftest import Stage
from tests.support.moving_site import MovingSite

SECONDS = float(os.environ.get("LONG_DOWNLOAD", "12"))
RELOADS = 5


def test_downloads(stage: Stage) -> None:
    """Five reloads during two downloads, which then end whole; the busy and idle clients beside them lose nothing either."""
    site = MovingSite(stage)
    with Load(replace(site.job(), busy=2, idle=12, fresh=1, uploads=0, download_seconds=SECONDS)) as load:
        begun = time.monotonic()
        for _ in range(RELOADS):
            site.next_change()
        assert time.monotonic() - begun < SECONDS, "the reloads took longer than the downloads"
        tally = load.stop()
    assert not tally.lost, told(tally)
    assert tally.done["download"] == 2
    assert site.reloads.generation == RELOADS + 1
    site.reloads.only_the_newest()
    assert site.reloads.cut() == 0
