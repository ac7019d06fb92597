"""Names of what is counted and measured of the cache."""

from __future__ import annotations

CACHE_COUNTS = (
    "hits", "misses", "purged", "stored", "not_stored", "overtaken", "evicted", "evicted_bytes", "promoted", "forgotten", "bytes",
    "files_opened", "files_lost", "file_failures",
)  # fmt: skip
"""What cache.layout.Counter counts, in that order."""
CACHE_GAUGES = ("memory", "disk", "disk_used", "entries", "purges_pending", "probation_bytes", "main_bytes", "files_bytes")
"""What stands in the ledger's Header.CACHE, in that order."""
