"""What the cache did, in metrics and as JSON."""

from __future__ import annotations

import json

from lbproxy.balance.ledger import SIZE, Header, Ledger, Scalar, scalar_at
from lbproxy.observe.cache_names import CACHE_EVENTS, CACHE_GAUGES, CACHE_RESULTS, CACHE_UNSTORED
from lbproxy.observe.cache_totals import CacheTotals
from lbproxy.observe.metrics import exposition, status
from lbproxy.observe.snapshot import totals
from tests.unit.observe.sample import snapshot

RESULTS = tuple(range(10, 10 + len(CACHE_RESULTS)))
UNSTORED = tuple(range(30, 30 + len(CACHE_UNSTORED)))


def test_each_figure_stands_in_its_cell() -> None:
    """Sums of workers, of which none is lost when one is gone; the master's as they are."""
    ledger = Ledger(bytearray(SIZE))
    ledger.cells[Header.CACHE] = 2**26
    for child in (0, 1):
        ledger.open_row(child)
        for number, figure in enumerate((*RESULTS, 1, 2, 3, 4)):
            ledger.cells[scalar_at(child, Scalar.CACHE_STEP + number)] = figure
        for number, figure in enumerate(UNSTORED):
            ledger.cells[scalar_at(child, Scalar.CACHE_UNSTORED + number)] = figure
    ledger.retire_row(0)
    found = totals(ledger).cache
    assert found.results == tuple(2 * each for each in RESULTS)
    assert found.events == (2, 4, 6, 8)
    assert found.unstored == tuple(2 * each for each in UNSTORED)
    assert found.gauge("memory") == 2**26
    assert Scalar.CACHE_STEP + len(CACHE_RESULTS) + len(CACHE_EVENTS) <= Scalar.CACHE_UNSTORED
    assert Scalar.CACHE_UNSTORED + len(CACHE_UNSTORED) <= Scalar.COMPRESSED


def test_metrics() -> None:
    """Nothing of it where there is no cache."""
    made = snapshot()
    assert "lbproxy_cache" not in exposition(made)
    cache = CacheTotals(results=RESULTS, unstored=UNSTORED, events=(5, 6, 7, 8), gauges=(9,) * len(CACHE_GAUGES))
    told = made._replace(totals=made.totals._replace(cache=cache))
    lines = exposition(told).splitlines()
    for line in (
        'lbproxy_cache_requests_total{result="hit"} 10',
        'lbproxy_cache_requests_total{result="method"} 20',
        'lbproxy_cache_unstored_total{reason="private"} 30',
        "lbproxy_cache_served_bytes_total 5",
        'lbproxy_cache_refreshes_total{outcome="failed"} 7',
        "lbproxy_cache_waited_in_vain_total 8",
        'lbproxy_cache_storage{what="memory"} 9',
    ):
        assert line in lines
    said = json.loads(json.dumps(status(told)))["totals"]["cache"]
    assert (said["requests"]["hit"], said["unstored"]["private"], said["waited_in_vain"]) == (10, 30, 8)
    assert (cache.given, cache.asked) == (sum(RESULTS[:5]), sum(RESULTS))
