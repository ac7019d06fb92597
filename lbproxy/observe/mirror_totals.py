"""The differences between what mirrors and backends answer, by path: over all workers, and as a family of metrics."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import NamedTuple

DIFFERENCES = ("status", "length", "digest")
"""What is counted for each path, in this order."""
Sample = tuple[str, Mapping[str, str], float]
"""As metrics.Sample."""


class MirrorTotals(NamedTuple):
    """Nothing of it is there where no mirror is compared, or where none differs."""

    paths: tuple[tuple[str, tuple[int, ...]], ...] = ()
    """Folded, see proxy/steps/folded_path.py."""
    others: tuple[int, ...] = (0,) * len(DIFFERENCES)
    """Of further ones."""

    def each(self) -> Iterable[tuple[str, tuple[int, ...]]]:
        """By path; those without a place as "other", where there are any. No path is called so: they begin with a slash."""
        yield from self.paths
        if any(self.others):
            yield "other", self.others

    def described(self) -> dict[str, dict[str, int]]:
        """For JSON."""
        return {path: dict(zip(DIFFERENCES, counts, strict=True)) for path, counts in self.each()}


def mirror_families(mirror: MirrorTotals) -> Iterable[tuple[str, str, str, list[Sample]]]:
    """Name, kind, text and samples; nothing where nothing differs."""
    samples: list[Sample] = [
        ("", {"path": path, "difference": name}, count)
        for path, counts in mirror.each()
        for name, count in zip(DIFFERENCES, counts, strict=True)
    ]
    if samples:
        text = "Answers of mirrors that differ from what clients got, by path and by what differs; those without a place as other."
        yield "lbproxy_mirror_differences_total", "counter", text, samples
