"""lbproxy without its accept gate: `python -m bench.macro.gateless start -c FILE`, for what the gate costs and brings.

The gate compares a worker's connections with CROWDED times the mean (lbproxy/worker/gate.py); nothing is above infinity times it.
Set in each forked child, as the master imports nothing of the workers.
"""

from __future__ import annotations

import os
import sys

from lbproxy.cli import main


def without_gate() -> None:
    from lbproxy.worker import gate

    gate.CROWDED = float("inf")


if __name__ == "__main__":
    os.register_at_fork(after_in_child=without_gate)
    raise SystemExit(main(sys.argv[1:]))
