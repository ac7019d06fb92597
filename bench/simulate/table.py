"""The figures as text. Pure."""

from __future__ import annotations

from collections.abc import Sequence

from bench.macro.report import aligned
from bench.simulate.world import Waits

HEAD = ("backends", "policy", "workers", "p50", "p99", "longest")


def table(rows: Sequence[Waits]) -> str:
    """By the number of backends, which is named once."""
    lines: list[tuple[str, ...]] = [HEAD]
    for before, row in zip([None, *rows], rows, strict=False):
        first = before is None or before.backends != row.backends
        if first:
            lines.append(())
        workers = str(row.workers) if row.workers else "any"
        waits = (f"{row.p50:.2f}", f"{row.p99:.2f}", f"{row.longest:.1f}")
        lines.append((str(row.backends) if first else "", row.policy, workers, *waits))
    return aligned(lines)
