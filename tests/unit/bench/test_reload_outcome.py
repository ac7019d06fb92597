from __future__ import annotations

import json

from bench.reload import outcome
from bench.reload.job import Job, from_json
from bench.reload.outcome import EXAMPLES, Lost, Tally


def _tally() -> Tally:
    tally = Tally(elsewhere=6, connections=3, renewed=1, offered=2, resumed=1, waits=[0.25, 0.001])
    tally.done["busy"] += 5
    tally.noticed["closed"] += 2
    tally.lose(1.5, "busy", Lost("reset", "while sending", 4711))
    tally.lose(0.5, "idle", Lost("closed", "after 0 bytes"))
    return tally


def test_sums() -> None:
    """Every counter of every client is in the total, and its losses stand in the order of time."""
    whole = outcome.total([_tally(), Tally(), _tally()])
    assert whole.requests == 2 * (5 + 2)
    assert whole.lost == {"reset": 2, "closed": 2}
    assert [loss.at for loss in whole.losses] == [0.5, 0.5, 1.5, 1.5]
    assert (whole.connections, whole.renewed, whole.noticed["closed"], whole.offered, whole.resumed) == (6, 2, 4, 4, 2)
    assert whole.elsewhere == 12
    assert whole.slowest() == 0.25


def test_all_are_counted() -> None:
    """Only the examples are limited."""
    tally = Tally()
    for _ in range(EXAMPLES + 50):
        tally.lose(0.0, "busy", Lost("refused", ""))
    assert (tally.lost.total(), len(outcome.total([tally, tally]).losses)) == (EXAMPLES + 50, EXAMPLES)


def test_there_and_back() -> None:
    """JSON loses nothing."""
    assert outcome.from_dict(json.loads(json.dumps(outcome.to_dict(_tally())))) == _tally()


def test_jobs_there_and_back() -> None:
    job = Job(8443, "ca.pem", idle_pause=(0.1, 0.2), uploads=3)
    assert from_json(job.to_json()) == job


def test_percentiles() -> None:
    tally = Tally(waits=[float(n) for n in range(100, 0, -1)])
    assert (tally.percentile(0.0), tally.percentile(0.5), tally.percentile(0.99), tally.percentile(1.0)) == (1, 51, 100, 100)
    assert Tally().percentile(0.5) == 0.0
