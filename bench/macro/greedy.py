"""lbproxy without its accept balance: `python -m bench.macro.greedy start -c FILE`, for what the accept balance costs and brings.

It compares a worker's connections with ABOVE_SHARE times the mean (lbproxy/worker/accept/accept_balance.py); nothing is above
infinity times it. Set in each forked child, as the master imports nothing of the workers.
"""

from __future__ import annotations

import os
import sys

from lbproxy.cli import main


def without_balance() -> None:
    from lbproxy.worker.accept import accept_balance

    accept_balance.ABOVE_SHARE = float("inf")


if __name__ == "__main__":
    os.register_at_fork(after_in_child=without_balance)
    raise SystemExit(main(sys.argv[1:]))
