"""The figures of taps that are read as it happens, and as families of metrics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import NamedTuple

FIFO, LISTEN, INTERFACE = SINKS = ("fifo", "listen", "interface")
"""Outputs, as the configuration has them."""
OUTCOMES = ("passed", "dropped", "lost", "unread")


class TapOutputWork(NamedTuple):
    """What one output did, in conversations, since its process began; and how many read."""

    passed: int = 0
    dropped: int = 0
    """It was too slow."""
    lost: int = 0
    """The interface is down, or gone."""
    unread: int = 0
    """Nobody read."""
    readers: int = 0
    refused: int = 0
    """Readers: too many, or from elsewhere."""


class TapFacts(NamedTuple):
    """One output of a tap, as the message TapWork tells it."""

    tap: str
    sink: str
    passed: int
    dropped: int
    lost: int
    unread: int
    readers: int
    refused: int


Sample = tuple[str, Mapping[str, str], float]
"""As metrics.Sample."""


def tap_families(taps: Sequence[TapFacts]) -> Iterable[tuple[str, str, str, list[Sample]]]:
    """Name, kind, text and samples of each; nothing where there is no such tap."""
    told = [({"tap": one.tap, "sink": one.sink}, one) for one in taps]
    if not told:
        return
    text = "Conversations by what became of them at an output of a tap that is read as it happens; one for each that reads."
    counts: list[Sample] = [
        ("", {**labels, "outcome": outcome}, getattr(one, outcome)) for labels, one in told for outcome in OUTCOMES
    ]
    yield "lbproxy_tap_conversations_total", "counter", text, counts
    text = "Who reads there now; of an interface 1: it is there."
    yield "lbproxy_tap_readers", "gauge", text, [("", labels, one.readers) for labels, one in told]
    text = "Connections of readers that were refused: too many, or from elsewhere."
    refused: list[Sample] = [("", {"tap": one.tap}, one.refused) for one in taps if one.sink == "listen"]
    yield "lbproxy_tap_readers_refused_total", "counter", text, refused
