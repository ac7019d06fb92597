"""The figures of the cache, over all workers, and as families of metrics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

from lbproxy.observe.cache_names import CACHE_COUNTS, CACHE_EVENTS, CACHE_GAUGES, CACHE_RESULTS, CACHE_UNSTORED

GIVEN = 5
"""Of CACHE_RESULTS: the first ones, whose clients got what is stored, or what another one has asked for."""

Sample = tuple[str, Mapping[str, str], float]
"""As metrics.Sample."""


class CacheTotals(NamedTuple):
    """Nothing of it is there where there is no cache, and was none."""

    results: tuple[int, ...] = (0,) * len(CACHE_RESULTS)
    events: tuple[int, ...] = (0,) * len(CACHE_EVENTS)
    unstored: tuple[int, ...] = (0,) * len(CACHE_UNSTORED)
    storage: tuple[int, ...] = (0,) * len(CACHE_COUNTS)
    """What the storage did."""
    gauges: tuple[int, ...] = (0,) * len(CACHE_GAUGES)
    """How full it is; all 0: there is none."""

    @property
    def given(self) -> int:
        """Requests that no backend had to answer in full."""
        return sum(self.results[:GIVEN])

    @property
    def asked(self) -> int:
        """Requests on routes with a cache."""
        return sum(self.results)

    def result(self, name: str) -> int:
        """One of CACHE_RESULTS."""
        return self.results[CACHE_RESULTS.index(name)]

    def stored(self, name: str) -> int:
        """One of CACHE_COUNTS."""
        return self.storage[CACHE_COUNTS.index(name)]

    def gauge(self, name: str) -> int:
        """One of CACHE_GAUGES."""
        return self.gauges[CACHE_GAUGES.index(name)]

    @property
    def used(self) -> int:
        """Bytes of memory and disk in which something is."""
        return self.gauge("probation_bytes") + self.gauge("main_bytes") + self.gauge("disk_used")

    def described(self) -> dict[str, object]:
        """For JSON."""
        return {
            "requests": dict(zip(CACHE_RESULTS, self.results, strict=True)),
            **dict(zip(CACHE_EVENTS, self.events, strict=True)),
            "unstored": dict(zip(CACHE_UNSTORED, self.unstored, strict=True)),
            "storage": dict(zip(CACHE_COUNTS, self.storage, strict=True)),
            "usage": dict(zip(CACHE_GAUGES, self.gauges, strict=True)),
        }


def cache_families(cache: CacheTotals) -> Iterable[tuple[str, str, str, list[Sample]]]:
    """Name, kind, text and samples of each; nothing where there is no cache, and was none."""
    if cache == CacheTotals():
        return
    text = "Requests on routes with a cache: given out of it, or why a backend was asked."
    yield "lbproxy_cache_requests_total", "counter", text, _named("result", CACHE_RESULTS, cache.results)
    text = "Answers that were not stored, by reason."
    yield "lbproxy_cache_unstored_total", "counter", text, _named("reason", CACHE_UNSTORED, cache.unstored)
    served, refreshed, failed, in_vain = cache.events
    yield "lbproxy_cache_served_bytes_total", "counter", "Bytes of bodies that clients got out of it.", [("", {}, served)]
    text = "Answers that were asked for anew while old ones were given out."
    outcomes: list[Sample] = [("", {"outcome": "renewed"}, refreshed), ("", {"outcome": "failed"}, failed)]
    yield "lbproxy_cache_refreshes_total", "counter", text, outcomes
    text = "Requests that waited for another one's answer in vain, and went on by themselves."
    yield "lbproxy_cache_waited_in_vain_total", "counter", text, [("", {}, in_vain)]
    text = "What the cache's storage did: found, did not find, found purged, stored, did not store, pushed out ..."
    yield "lbproxy_cache_storage_total", "counter", text, _named("what", CACHE_COUNTS, cache.storage)
    text = "The cache: bytes that there are, bytes in use, answers, purges that are being carried out."
    yield "lbproxy_cache_storage", "gauge", text, _named("what", CACHE_GAUGES, cache.gauges)


def _named(label: str, names: Iterable[str], figures: Iterable[int]) -> list[Sample]:
    return [("", {label: name}, figure) for name, figure in zip(names, figures, strict=True)]
