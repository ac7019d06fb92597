"""`python -m bench [cases...]`: the table; `python -m bench reload`: what reloads cost; `python -m bench scale`: several workers.

Exit 0 whatever the figures, 1 with the reason when the harness cannot measure.
"""

from __future__ import annotations

import signal
import sys
from types import FrameType

from bench.macro import command as macro
from bench.macro import scale_command as scale
from bench.reload import command as reload

VERBS = {"reload": reload.main, "scale": scale.main}
"""By the first argument, if options or nothing follow it; among other cases `reload` is a case."""


def main(argv: list[str]) -> int:
    def end(number: int, frame: FrameType | None) -> None:
        raise SystemExit(128 + number)  # through the finally clauses that stop the proxies

    signal.signal(signal.SIGTERM, end)
    if argv[:1] and argv[0] in VERBS and not (argv[1:] and not argv[1].startswith("-")):
        return VERBS[argv[0]](argv[1:])
    return macro.main(argv)


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1:]))
