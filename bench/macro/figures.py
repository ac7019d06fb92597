"""From measurements to figures: medians, spreads, ratios. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from statistics import median


@dataclass(frozen=True, slots=True)
class Sample:
    """One proxy, one case, one round."""

    case: str
    peer: str
    round: int
    figure: float
    """What the case is about: CPU microseconds per request, or KiB per idle connection."""
    per_second: float = 0.0
    busy: float = 0.0
    """CPU seconds of the proxy per second; 1.0 is one core."""
    p50_ms: float = 0.0
    p99_ms: float = 0.0
    pss_mib: float = 0.0
    errors: int = 0


@dataclass(frozen=True, slots=True)
class Spread:
    """The middle and the ends."""

    mid: float
    low: float
    high: float


@dataclass(frozen=True, slots=True)
class Row:
    """A line of the table: the medians over all rounds of one proxy in one case."""

    case: str
    peer: str
    figure: Spread
    ratio: Spread | None
    """The subject's figure divided by this one's, round by round; None for the subject itself and without common rounds."""
    best: float | None
    """The subject's lowest figure divided by this one's lowest. Disturbance only ever adds, so this is what quiet moments say."""
    per_second: float
    busy: float
    p50_ms: float
    p99_ms: float
    pss_mib: float
    errors: int
    rounds: int


def spread(values: Iterable[float]) -> Spread:
    ordered = sorted(values)
    if not ordered:
        raise ValueError("the spread of nothing")
    return Spread(median(ordered), ordered[0], ordered[-1])


def ratio(subject: Sequence[Sample], other: Sequence[Sample]) -> Spread | None:
    """Divided within each round, then summarised: drift of the machine between rounds cancels out."""
    theirs = {sample.round: sample.figure for sample in other}
    ratios = [mine.figure / theirs[mine.round] for mine in subject if theirs.get(mine.round, 0.0) > 0.0]
    return spread(ratios) if ratios else None


def best(subject: Sequence[Sample], other: Sequence[Sample]) -> float | None:
    """Lowest by lowest, over all rounds."""
    ours, theirs = ([s.figure for s in samples if s.figure > 0.0] for samples in (subject, other))
    return min(ours) / min(theirs) if ours and theirs else None


def rows(samples: Sequence[Sample], peers: Sequence[str], subject: str) -> list[Row]:
    """One row for each case, in the order of their first samples, and peer, in the given order; `ratio` is that of `subject`."""
    groups: dict[tuple[str, str], list[Sample]] = {}
    for case in dict.fromkeys(s.case for s in samples):
        for peer in peers:
            group = [s for s in samples if (s.case, s.peer) == (case, peer)]
            if group:
                groups[case, peer] = group
    return [
        Row(
            case=case,
            peer=peer,
            figure=spread(s.figure for s in group),
            ratio=None if peer == subject else ratio(groups.get((case, subject), []), group),
            best=None if peer == subject else best(groups.get((case, subject), []), group),
            per_second=median(s.per_second for s in group),
            busy=median(s.busy for s in group),
            p50_ms=median(s.p50_ms for s in group),
            p99_ms=median(s.p99_ms for s in group),
            pss_mib=median(s.pss_mib for s in group),
            errors=sum(s.errors for s in group),
            rounds=len(group),
        )
        for (case, peer), group in groups.items()
    ]


def order(peers: Sequence[str], turn: int) -> list[str]:
    """Who goes when: everybody goes first equally often, so that warm caches and drift favour nobody."""
    shift = turn % max(1, len(peers))
    return [*peers[shift:], *peers[:shift]]
