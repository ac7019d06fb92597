"""The table. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from bench.macro.report import aligned

HEAD = ("attack", "proxy", "newcomer p50", "p99 ms", "lost", "CPU", "KB/s", "CPU us/KB", "by the better")
LEGEND = """\
newcomer       what somebody waited who came meanwhile for something small; medians of rounds
lost           newcomers without an answer, or with a wrong one, in all rounds
CPU            of the proxy, in cores
by the better  CPU us/KB divided by that of the better of the others in the table; over HTTP/2 CPU by CPU: where floods end the
               connection, what was sent behind the end was never read, and would make a kilobyte cheap"""
CALM = "(none)"


class Sample(NamedTuple):
    """One measurement."""

    attack: str
    peer: str
    p50_ms: float
    p99_ms: float
    lost: int
    cpu_seconds: float
    kilobytes: float
    seconds: float
    by_kilobyte: bool = True
    """What was sent was read, too."""


class Row(NamedTuple):
    """All rounds of one attack on one proxy."""

    attack: str
    peer: str
    p50_ms: float
    p99_ms: float
    lost: int
    cores: float
    rate: float
    cost: float
    """Microseconds a kilobyte; 0 where there were none, or where they say nothing."""

    @property
    def compared(self) -> float:
        """What it is set beside the others by."""
        return self.cost or (self.cores if self.rate else 0.0)


def rows(samples: Sequence[Sample]) -> list[Row]:
    """In the order of their first."""
    made = []
    for attack, peer in dict.fromkeys((sample.attack, sample.peer) for sample in samples):
        mine = [sample for sample in samples if (sample.attack, sample.peer) == (attack, peer)]
        seconds, kilobytes = sum(sample.seconds for sample in mine), sum(sample.kilobytes for sample in mine)
        cpu = sum(sample.cpu_seconds for sample in mine)
        p50, p99 = median(sample.p50_ms for sample in mine), median(sample.p99_ms for sample in mine)
        cost = cpu * 1e6 / kilobytes if kilobytes and mine[0].by_kilobyte else 0.0
        made.append(Row(attack, peer, p50, p99, sum(sample.lost for sample in mine), cpu / seconds, kilobytes / seconds, cost))
    return made


def table(samples: Sequence[Sample]) -> str:
    """A row for each attack on each proxy."""
    found = rows(samples)
    lines: list[tuple[str, ...]] = []
    for row in found:
        others = [other.compared for other in found if other.attack == row.attack and other.peer != row.peer and other.compared]
        by = f"{row.compared / min(others):.1f} x" if others and row.compared else ""
        cost = f"{row.cost:.1f}" if row.cost else ""
        waits = (f"{row.p50_ms:.1f}", f"{row.p99_ms:.1f}", str(row.lost))
        lines.append((row.attack, row.peer, *waits, f"{row.cores:.2f}", f"{row.rate:.0f}" if row.rate else "", cost, by))
    return aligned([HEAD, (), *lines])
