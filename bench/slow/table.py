"""The table. Pure."""

from __future__ import annotations

from collections.abc import Sequence
from statistics import median
from typing import NamedTuple

from bench.macro.report import aligned

HEAD = ("attack", "proxy", "elsewhere p50", "p99", "here p50", "p99", "p99 here by elsewhere", "errors")
LEGEND = """\
elsewhere, here  what good clients waited (ms) while another proxy of the kind was attacked, and while theirs was; medians of rounds
errors           of good clients, in all rounds"""


class Sample(NamedTuple):
    """One measurement. Milliseconds."""

    attack: str
    peer: str
    here: bool
    p50_ms: float
    p99_ms: float
    errors: int


def table(samples: Sequence[Sample]) -> str:
    """A row for each attack on each proxy."""
    rows: list[tuple[str, ...]] = []
    for attack, peer in dict.fromkeys((sample.attack, sample.peer) for sample in samples):
        mine = [sample for sample in samples if (sample.attack, sample.peer) == (attack, peer)]
        elsewhere, here = ([sample for sample in mine if sample.here is at] for at in (False, True))
        waits = [median(sample.p99_ms for sample in side) for side in (elsewhere, here)]
        rows.append(
            (
                attack,
                peer,
                f"{median(sample.p50_ms for sample in elsewhere):.2f}",
                f"{waits[0]:.1f}",
                f"{median(sample.p50_ms for sample in here):.2f}",
                f"{waits[1]:.1f}",
                f"{waits[1] / waits[0]:.1f} x" if waits[0] else "",
                str(sum(sample.errors for sample in mine)),
            )
        )
    return aligned([HEAD, (), *rows])
