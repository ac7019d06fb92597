"""Waits at constant rates, summarised over the rounds. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from bench.macro.figures import Spread, spread
from bench.macro.report import aligned, spread_text


@dataclass(frozen=True, slots=True)
class LatencySample:
    """One proxy at one rate in one round; milliseconds from the moment at which each request was meant to be sent."""

    peer: str
    round: int
    share: float
    """Of what the proxy can do."""
    rate: float
    """Requests per second."""
    cpu_us: float
    """CPU microseconds of the proxy per request."""
    p50_ms: float
    p90_ms: float
    p99_ms: float
    p999_ms: float
    max_ms: float
    sent_p99_ms: float
    errors: int


@dataclass(frozen=True, slots=True)
class LatencyRow:
    """Medians over the rounds; the largest wait of all."""

    peer: str
    share: float
    rate: float
    cpu_us: float
    p50: Spread
    p90_ms: float
    p99: Spread
    p999_ms: float
    max_ms: float
    sent_p99_ms: float
    errors: int
    rounds: int


HEAD = ("load", "proxy", "requests/s", "us CPU/request", "p50 ms", "p90", "p99", "p99.9", "longest", "sent late p99", "errors")


def latency_rows(samples: Sequence[LatencySample], peers: Sequence[str]) -> list[LatencyRow]:
    """By share of capacity, then by peer in the given order."""
    found = []
    for share in sorted({sample.share for sample in samples}):
        for peer in peers:
            group = [sample for sample in samples if (sample.share, sample.peer) == (share, peer)]
            if group:
                found.append(_row(peer, share, group))
    return found


def _row(peer: str, share: float, group: Sequence[LatencySample]) -> LatencyRow:
    return LatencyRow(
        peer=peer,
        share=share,
        rate=median(s.rate for s in group),
        cpu_us=median(s.cpu_us for s in group),
        p50=spread(s.p50_ms for s in group),
        p90_ms=median(s.p90_ms for s in group),
        p99=spread(s.p99_ms for s in group),
        p999_ms=median(s.p999_ms for s in group),
        max_ms=max(s.max_ms for s in group),
        sent_p99_ms=median(s.sent_p99_ms for s in group),
        errors=sum(s.errors for s in group),
        rounds=len(group),
    )


def latency_table(rows: Sequence[LatencyRow]) -> str:
    lines: list[tuple[str, ...]] = [HEAD]
    for before, row in zip([None, *rows], rows, strict=False):
        first = before is None or before.share != row.share
        if first:
            lines.append(())
        lines.append(
            (
                f"{row.share:.0%}" if first else "",
                row.peer,
                f"{row.rate:.0f}",
                f"{row.cpu_us:.1f}",
                spread_text(row.p50, 2),
                f"{row.p90_ms:.2f}",
                spread_text(row.p99, 2),
                f"{row.p999_ms:.2f}",
                f"{row.max_ms:.1f}",
                f"{row.sent_p99_ms:.2f}",
                str(row.errors),
            )
        )
    return aligned(lines)
