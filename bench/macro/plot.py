"""The figures as a picture (PNG): CPU against each peer, CPU per request, and waits at constant rates."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from bench.macro.cases import MEMORY
from bench.macro.errors import BenchError
from bench.macro.figures import Row
from bench.macro.latency_table import LatencyRow

if TYPE_CHECKING:
    from matplotlib.axes import Axes

BAR = 0.8
"""Of the room between two cases."""


def draw(path: Path, rows: Sequence[Row], waits: Sequence[LatencyRow], subject: str, title: str) -> None:
    """Writes the file; BenchError without matplotlib, or when there is nothing to draw."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise BenchError("a plot needs matplotlib: pip install matplotlib, or the bench extra") from error
    loads = [row for row in rows if row.case not in MEMORY]
    # What fits on one axis: a GET of 16 MiB takes a thousand times what a small one takes.
    panels: list[Callable[[Axes], None]] = []
    if any(row.ratio for row in rows):
        panels.append(lambda axes: _ratios(axes, rows, subject))
    if loads:
        panels.append(lambda axes: _costs(axes, loads))
    if waits:
        panels.append(lambda axes: _waits(axes, waits))
    if not panels:
        raise BenchError("there are no figures to draw")
    figure = Figure(figsize=(12, 4.2 * len(panels)), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=9)
    for panel, axes in zip(panels, figure.subplots(len(panels), squeeze=False).flat, strict=True):
        panel(axes)
    figure.savefig(path, format="png", dpi=110)


def _bars(axes: Axes, rows: Sequence[Row], value: str) -> None:
    """Groups of bars, one group a case and one bar a peer; the lines on them reach from the lowest to the highest round."""
    names = list(dict.fromkeys(row.case for row in rows))
    peers = list(dict.fromkeys(row.peer for row in rows))
    width = BAR / len(peers)
    for number, peer in enumerate(peers):
        own = [row for row in rows if row.peer == peer]
        spreads = [getattr(row, value) for row in own]
        axes.bar(
            [names.index(row.case) + (number - (len(peers) - 1) / 2) * width for row in own],
            [spread.mid for spread in spreads],
            width,
            yerr=([s.mid - s.low for s in spreads], [s.high - s.mid for s in spreads]),
            capsize=2,
            label=peer,
            error_kw={"elinewidth": 0.8},
        )
    axes.set_xticks(range(len(names)), names, rotation=20)
    axes.legend()


def _ratios(axes: Axes, rows: Sequence[Row], subject: str) -> None:
    _bars(axes, [row for row in rows if row.ratio is not None], "ratio")
    axes.axhline(1.0, color="black", linewidth=0.8)
    axes.set_ylabel("times")
    axes.set_title(f"{subject}'s CPU per request ({', '.join(MEMORY)}: memory) as a multiple of each peer's; below 1 it is cheaper")


def _costs(axes: Axes, rows: Sequence[Row]) -> None:
    _bars(axes, rows, "figure")
    axes.set_yscale("log")
    axes.set_ylabel("microseconds")
    axes.set_title("CPU per request")


def _waits(axes: Axes, waits: Sequence[LatencyRow]) -> None:
    labels = [f"{row.peer}\n{row.share:.0%}: {row.rate:.0f}/s" for row in waits]
    places = range(len(waits))
    axes.bar(places, [row.p99.mid for row in waits], BAR, color="lightgray", label="p99")
    axes.bar(places, [row.p50.mid for row in waits], BAR / 2, label="p50")
    axes.errorbar(
        places,
        [row.p99.mid for row in waits],
        ([row.p99.mid - row.p99.low for row in waits], [row.p99.high - row.p99.mid for row in waits]),
        fmt="none",
        capsize=2,
        color="gray",
    )
    axes.set_xticks(places, labels)
    axes.set_yscale("log")
    axes.set_ylabel("milliseconds")
    axes.set_title("latency at a constant rate, tiny")
    axes.legend()
