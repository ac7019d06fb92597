"""The table for people and the JSON for programs. Pure: takes figures, gives text."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, is_dataclass

from bench.macro.cases import MEMORY
from bench.macro.figures import Row, Spread

Cells = tuple[str, ...]


def spread_text(value: Spread, digits: int) -> str:
    """Middle and ends: "25.1 (24.0-26.3)"; the middle alone when there is nothing between the ends."""
    middle = f"{value.mid:.{digits}f}"
    if value.low == value.high:
        return middle
    return f"{middle} ({value.low:.{digits}f}-{value.high:.{digits}f})"


def head(subject: str) -> Cells:
    return (
        "case",
        "proxy",
        "us CPU/request",
        f"{subject} is",
        "at best",
        "requests/s",
        "cores",
        "p50 ms",
        "p99 ms",
        "PSS MiB",
        "errors",
    )


def cells(row: Row) -> Cells:
    figure = spread_text(row.figure, 1)
    ratio = "" if row.ratio is None else spread_text(row.ratio, 2) + " x"
    best = "" if row.best is None else f"{row.best:.2f} x"
    if row.case in MEMORY:
        return (row.case, row.peer, f"{figure} KiB", ratio, best, "", "", "", "", f"{row.pss_mib:.0f}", "")
    return (
        row.case,
        row.peer,
        figure,
        ratio,
        best,
        f"{row.per_second:.0f}",
        f"{row.busy:.2f}",
        f"{row.p50_ms:.2f}",
        f"{row.p99_ms:.2f}",
        f"{row.pss_mib:.0f}",
        str(row.errors),
    )


def table(rows: Sequence[Row], subject: str) -> str:
    """Text in columns, names to the left, figures to the right; cases parted by a rule, each named once."""
    lines: list[Cells] = [head(subject)]
    for before, row in zip([None, *rows], rows, strict=False):
        line = cells(row)
        if before is None or before.case != row.case:
            lines.append(())
        else:
            line = ("", *line[1:])
        lines.append(line)
    return aligned(lines)


def aligned(lines: Sequence[Cells]) -> str:
    """The first two columns are names and begin together, the others end together; an empty line becomes a rule."""
    widths = [max(len(line[i]) for line in lines if line) for i in range(len(lines[0]))]
    rule = "-" * (sum(widths) + 2 * (len(widths) - 1))
    return "\n".join(_aligned(line, widths) if line else rule for line in lines)


def _aligned(line: Cells, widths: Sequence[int]) -> str:
    padded = [cell.ljust(width) if i < 2 else cell.rjust(width) for i, (cell, width) in enumerate(zip(line, widths, strict=True))]
    return "  ".join(padded).rstrip()


def as_json(report: Mapping[str, object]) -> str:
    """Everything: what it ran on, rows, and each single measurement; dataclasses become objects."""
    return json.dumps(report, indent=1, default=_plain)


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return asdict(value)
    raise TypeError(f"wanted JSON or a dataclass, got {type(value).__name__}")
