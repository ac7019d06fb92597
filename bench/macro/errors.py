"""What the harness cannot do, as opposed to figures it does not like."""

from __future__ import annotations

import sys
from collections.abc import Callable


class BenchError(Exception):
    """The harness itself failed: a tool is missing, a proxy did not start, or it does not do the work that the others do."""


def exit_code(measure: Callable[[], None]) -> int:
    """Of a command that measures: 0 whatever the figures, 1 with the reason on stderr when it cannot, 130 when interrupted."""
    try:
        measure()
    except BenchError as error:
        print(f"bench: {error}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0
