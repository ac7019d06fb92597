"""lbproxy.cache.layout: everything has its place, inside the memory that there is."""

from __future__ import annotations

from itertools import pairwise

import pytest

from lbproxy.cache.layout import LEAST_MEMORY, LINE, layout_of


@pytest.mark.parametrize("memory", [LEAST_MEMORY, 64 * 2**20 - 4096, 2**30, 64 * 2**30])
@pytest.mark.parametrize("disk", [0, 2**20, 10 * 2**30, 2**44])
def test_nothing_overlaps_and_little_is_left(memory: int, disk: int) -> None:
    """In order, on lines, and all but a line's worth of the memory is used; main is most of it."""
    layout = layout_of(memory, disk)
    parts = [part for part in layout if not isinstance(part, int)]
    assert all(part.start % LINE == 0 and part.size >= 0 for part in parts)
    assert all(first.end == second.start for first, second in pairwise(parts))
    assert memory - LINE < layout.files.end <= memory
    assert layout.main.size > memory * 0.4
    assert (layout.files.size > 0) is (disk > 0)


def test_too_little_is_refused() -> None:
    """There would be no room for answers."""
    with pytest.raises(ValueError, match="at least"):
        layout_of(LEAST_MEMORY - 1, 0)
