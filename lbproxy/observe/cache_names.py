"""Names of what is counted and measured of the cache."""

from __future__ import annotations

CACHE_COUNTS = (
    "hits", "misses", "purged", "stored", "not_stored", "overtaken", "evicted", "evicted_bytes", "promoted", "forgotten", "bytes",
    "files_opened", "files_lost", "file_failures",
)  # fmt: skip
"""What cache.layout.Counter counts, in that order."""
CACHE_GAUGES = ("memory", "disk", "disk_used", "entries", "purges_pending", "probation_bytes", "main_bytes", "files_bytes")
"""What stands in the ledger's Header.CACHE, in that order."""
CACHE_RESULTS = (
    "hit", "stale", "stale_if_error", "validated", "collapsed", "uri_miss", "vary_miss", "expired", "request", "bypass", "method",
)  # fmt: skip
"""What became of requests on routes with a cache, one for each: given out of the cache, fresh or not, or a backend was asked, and
why. In the order of their cells (Scalar.CACHE_STEP); behind them stand CACHE_EVENTS."""
CACHE_EVENTS = ("served_bytes", "refreshed", "refresh_failed", "waited_in_vain")
"""Bytes of bodies that clients got out of the cache; answers that were asked for anew in the background; requests that have
waited for another one's answer, and went on by themselves."""
CACHE_UNSTORED = (
    "private", "no_store", "no_lifetime", "set_cookie", "authorization", "vary", "status", "too_large", "no_length", "stale",
    "not_understood", "request_no_store", "range", "endless", "method", "malformed", "busy",
)  # fmt: skip
"""Why answers were not stored, in the words of Cache-Status' detail, in the order of their cells (Scalar.CACHE_UNSTORED)."""
