"""The table. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from bench.macro.figures import Spread, spread
from bench.macro.openloop import Waits
from bench.macro.report import aligned, spread_text
from bench.taps.states import NONE, STATES

HEAD = ("tap", "worker us", "taps us", "p50 ms", "p99", "by none", "p99.9", "longest", "sent late p99", "errors")
LEGEND = """\
worker us      CPU of lbproxy without the process for taps, for each request; taps us: of that process
by none        p99 divided by that of the route without a tap in the same round
sent late p99  the generator's own delay: what is not above it says little"""


class TapSample(NamedTuple):
    """One state in one round."""

    state: str
    round: int
    waits: Waits
    worker_us: float
    """CPU of lbproxy a request, without the process for taps."""
    taps_us: float


class TapRow(NamedTuple):
    """Medians over the rounds; the largest wait of all."""

    state: str
    worker_us: float
    taps_us: float
    p50_ms: Spread
    p99_ms: Spread
    by_none: Spread | None
    """Round by round, so that drift of the machine between rounds cancels out."""
    p999_ms: float
    max_ms: float
    sent_p99_ms: float
    errors: int


def rows(samples: Sequence[TapSample]) -> list[TapRow]:
    """In the order of their first."""
    plain = {sample.round: sample.waits.p99_ms for sample in samples if sample.state == NONE}
    return [
        _row(state, [sample for sample in samples if sample.state == state], plain)
        for state in dict.fromkeys(sample.state for sample in samples)
    ]


def _row(state: str, mine: Sequence[TapSample], plain: dict[int, float]) -> TapRow:
    waits = [sample.waits for sample in mine]
    ratios = [sample.waits.p99_ms / plain[sample.round] for sample in mine if plain.get(sample.round)]
    return TapRow(
        state,
        median(sample.worker_us for sample in mine),
        median(sample.taps_us for sample in mine),
        spread(wait.p50_ms for wait in waits),
        spread(wait.p99_ms for wait in waits),
        spread(ratios) if ratios and state != NONE else None,
        median(wait.p999_ms for wait in waits),
        max(wait.max_ms for wait in waits),
        median(wait.sent_p99_ms for wait in waits),
        sum(wait.errors for wait in waits),
    )


def table(samples: Sequence[TapSample]) -> str:
    """A row for each state."""
    lines: list[tuple[str, ...]] = [HEAD, ()]
    for row in rows(samples):
        by = "" if row.by_none is None else spread_text(row.by_none, 2) + " x"
        figures = (f"{row.worker_us:.1f}", f"{row.taps_us:.1f}", spread_text(row.p50_ms, 2), spread_text(row.p99_ms, 2), by)
        lines.append((row.state, *figures, f"{row.p999_ms:.2f}", f"{row.max_ms:.1f}", f"{row.sent_p99_ms:.2f}", str(row.errors)))
    told = "\n".join(f"{row.state:<14} {STATES[row.state].told}" for row in rows(samples))
    return f"{aligned(lines)}\n\n{LEGEND}\n\n{told}"
