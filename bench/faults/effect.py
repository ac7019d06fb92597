"""What a fault did to traffic, from the proxy's own records. Pure.

A request *met* the backend if it was tried there last, or was tried more than once: only one backend is faulty, so a second try
means that the first was there.
"""

from __future__ import annotations

from bisect import bisect_right
from collections import Counter
from collections.abc import Sequence
from typing import NamedTuple

from bench.faults.trace import Record

FEW = 0.05
"""A backend whose share is no larger is left: proxies without checks send it a request now and then to find out."""
SOON = 1.0
END = 0.5
"""Seconds: who leaves the backend only so shortly before the fault ends stayed."""
SPAN = 0.5
"""Seconds over which half of a fair share shows that a backend is back."""
STEP = 0.02


class Effect(NamedTuple):
    """Seconds count from the fault's beginning (`left`) and from its end (`back`)."""

    requests: int
    """That began while the fault lasted."""
    met: int
    """Of these."""
    left: float | None
    """None: it was sent requests until the end."""
    back: float | None
    """None: not before the load ended."""
    evenness: float
    """Of the others: the largest share by the mean."""


def effect(records: Sequence[Record], victim: int, backends: int, began: float, ended: float) -> Effect:
    """`records` in the order of their beginnings; `victim`: its index; `began`, `ended`: of the fault, as in the records."""
    during = [record for record in records if began <= record.began < ended]
    met = [record for record in during if _met(record, victim)]
    others = Counter(record.backend for record in during if record.backend not in (victim, -1))
    mean = others.total() / max(1, backends - 1)
    return Effect(
        len(during),
        len(met),
        _left(during, victim, began, ended),
        _back([record for record in records if record.began >= ended], victim, backends, ended),
        max(others.values()) / mean if others else 0.0,
    )


def _met(record: Record, victim: int) -> bool:
    return record.backend == victim or record.tries > 1


def _left(during: Sequence[Record], victim: int, began: float, ended: float) -> float | None:
    """The earliest moment after which it met FEW of the requests, of those of the next SOON seconds and of all that came."""
    times = [record.began for record in during]
    meetings = [record.began for record in during if _met(record, victim)]
    for moment in (began, *meetings):
        if moment > ended - END:
            return None
        after = bisect_right(times, moment) if moment > began else 0
        met_after = bisect_right(meetings, moment) if moment > began else 0
        soon = bisect_right(times, moment + SOON) - after
        met_soon = bisect_right(meetings, moment + SOON) - met_after
        if met_soon <= FEW * soon and len(meetings) - met_after <= FEW * (len(times) - after):
            return moment - began
    return None


def _back(after: Sequence[Record], victim: int, backends: int, ended: float) -> float | None:
    """The earliest moment from which it had half of its fair share for SPAN seconds."""
    if not after:
        return None
    at = ended
    while at + SPAN <= after[-1].began:
        span = [record for record in after if at <= record.began < at + SPAN]
        answered = sum(record.backend == victim and record.status < 500 for record in span)
        if span and answered * 2 * backends >= len(span):
            return at - ended
        at += STEP
    return None
