"""The figures as a picture (PNG): the wait that one request in a hundred exceeds, by workers; a panel for each size."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from bench.macro.errors import BenchError
from bench.simulate.world import Waits

COLORS = ("tab:blue", "tab:orange", "tab:green", "tab:red", "tab:purple")


def draw(path: Path, rows: Sequence[Waits], title: str) -> None:
    """Writes the file; BenchError without matplotlib."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise BenchError("a plot needs matplotlib: pip install matplotlib, or the bench extra") from error
    sizes = list(dict.fromkeys(row.backends for row in rows))
    counts = sorted({row.workers for row in rows if row.workers})
    colors = dict(zip(dict.fromkeys(row.policy for row in rows), COLORS, strict=False))
    figure = Figure(figsize=(4 * len(sizes), 4.2), layout="constrained")
    FigureCanvasAgg(figure)
    figure.suptitle(title, fontsize=9)
    for size, axes in zip(sizes, figure.subplots(1, len(sizes), squeeze=False, sharey=True).flat, strict=True):
        for policy, color in colors.items():
            own = [row for row in rows if (row.backends, row.policy) == (size, policy)]
            places = [row.workers for row in own] if own[0].workers else counts
            heights = [row.p99 for row in own] if own[0].workers else [own[0].p99] * len(counts)
            axes.plot(places, heights, color=color, marker="o" if own[0].workers else None, label=policy)
        axes.set_xscale("log", base=2)
        axes.set_xticks(counts, [str(count) for count in counts])
        axes.set_ylim(bottom=-0.5)
        axes.set_xlabel("workers")
        axes.set_title(f"{size} backends", fontsize=10)
    first = figure.axes[0]
    first.set_ylabel("p99 of waiting, in mean service times")
    first.legend(fontsize=8)
    figure.savefig(path, format="png", dpi=90)
