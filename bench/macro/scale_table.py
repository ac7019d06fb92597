"""What several workers did, summarised over the rounds, as text. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median

from bench.macro.figures import Spread, spread
from bench.macro.report import aligned, spread_text

COST_LIMIT = 1.10
"""Two workers' CPU per request as a multiple of one's: 1.8 times the throughput of one needs about this."""
BALANCE_LIMIT = 1.3
"""The busiest worker's connections as a multiple of the mean."""


@dataclass(frozen=True, slots=True)
class CostSample:
    peer: str
    workers: int
    load: str
    round: int
    cpu_us: float
    """CPU microseconds of the whole proxy per request."""
    per_second: float
    busy: float
    """Cores used by the proxy."""
    errors: int


@dataclass(frozen=True, slots=True)
class BalanceSample:
    peer: str
    workers: int
    round: int
    counts: tuple[int, ...]
    """Connections of each worker that holds any."""
    ratio: float
    """Largest share by mean."""


@dataclass(frozen=True, slots=True)
class AcceptSample:
    kind: str
    peer: str
    round: int
    rate: float
    p50_ms: float
    p99_ms: float
    max_ms: float
    errors: int


def by_round(two: Sequence[tuple[int, float]], one: Sequence[tuple[int, float]]) -> Spread | None:
    """`two` divided by `one` in each round that both have; pairs are (round, figure)."""
    base = {number: figure for number, figure in one if figure > 0}
    ratios = [figure / base[number] for number, figure in two if number in base]
    return spread(ratios) if ratios else None


def cost_ratio(samples: Sequence[CostSample], peer: str, load: str) -> Spread | None:
    """Two workers' CPU per request as a multiple of one worker's."""
    of = {w: [(s.round, s.cpu_us) for s in samples if (s.peer, s.load, s.workers) == (peer, load, w)] for w in (1, 2)}
    return by_round(of[2], of[1])


def accept_ratio(samples: Sequence[AcceptSample], kind: str, peer: str, without: str) -> Spread | None:
    """p99 with the accept balance as a multiple of the one without."""
    of = {name: [(s.round, s.p99_ms) for s in samples if (s.kind, s.peer) == (kind, name)] for name in (peer, without)}
    return by_round(of[peer], of[without])


def _verdict(value: Spread | None, limit: float) -> str:
    return "" if value is None else ("yes" if value.mid <= limit else "NO")


def cost_table(samples: Sequence[CostSample]) -> str:
    lines: list[tuple[str, ...]] = [
        ("load", "proxy", "workers", "us CPU/request", "2 by 1", f"<= {COST_LIMIT:.2f}", "requests/s", "cores", "errors"),
    ]
    for load in dict.fromkeys(s.load for s in samples):
        lines.append(())
        first = True
        for peer in dict.fromkeys(s.peer for s in samples):
            for workers in (1, 2):
                group = [s for s in samples if (s.load, s.peer, s.workers) == (load, peer, workers)]
                if not group:
                    continue
                ratio = cost_ratio(samples, peer, load) if workers == 2 else None
                lines.append(
                    (
                        load if first else "",
                        peer if workers == 1 else "",
                        str(workers),
                        spread_text(spread(s.cpu_us for s in group), 1),
                        spread_text(ratio, 2) + " x" if ratio else "",
                        _verdict(ratio, COST_LIMIT),
                        f"{median(s.per_second for s in group):.0f}",
                        f"{median(s.busy for s in group):.2f}",
                        str(sum(s.errors for s in group)),
                    )
                )
                first = False
    return aligned(lines)


def balance_table(samples: Sequence[BalanceSample]) -> str:
    lines: list[tuple[str, ...]] = [("workers", "proxy", "max/mean", f"<= {BALANCE_LIMIT}", "connections in the worst round")]
    for workers in dict.fromkeys(s.workers for s in samples):
        lines.append(())
        group = [s for s in samples if s.workers == workers]
        for peer in dict.fromkeys(s.peer for s in group):
            own = [s for s in group if s.peer == peer]
            ratio = spread(s.ratio for s in own)
            worst = max(own, key=lambda s: s.ratio)
            shares = " ".join(map(str, sorted(worst.counts, reverse=True)))
            verdict = "yes" if ratio.high <= BALANCE_LIMIT else "NO"
            lines.append((str(workers), peer, spread_text(ratio, 2), verdict, shares))
    return aligned(lines)


def accept_table(samples: Sequence[AcceptSample], subject: str, without: str) -> str:
    lines: list[tuple[str, ...]] = [("kind", "proxy", "requests/s", "p50 ms", "p99 ms", "with by without", "longest", "errors")]
    for kind in dict.fromkeys(s.kind for s in samples):
        lines.append(())
        for peer in (subject, without):
            group = [s for s in samples if (s.kind, s.peer) == (kind, peer)]
            ratio = accept_ratio(samples, kind, subject, without) if peer == subject else None
            lines.append(
                (
                    kind if peer == subject else "",
                    peer,
                    f"{median(s.rate for s in group):.0f}",
                    f"{median(s.p50_ms for s in group):.2f}",
                    spread_text(spread(s.p99_ms for s in group), 2),
                    spread_text(ratio, 2) + " x" if ratio else "",
                    f"{max(s.max_ms for s in group):.1f}",
                    str(sum(s.errors for s in group)),
                )
            )
    return aligned(lines)
