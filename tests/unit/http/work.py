"""Is the work linear? Told by a ratio, so that a busy machine does not matter."""

from __future__ import annotations

import time
from collections.abc import Callable


def growth(run: Callable[[bytes], object], small: bytes, large: bytes) -> float:
    """How many times longer `large` takes than `small`: the best of several runs each, in CPU time of this thread."""

    def best(data: bytes) -> float:
        times = []
        for _ in range(5):
            begun = time.thread_time()
            run(data)
            times.append(time.thread_time() - begun)
        return min(times)

    return best(large) / max(best(small), 1e-5)  # below 10 us the clock says nothing
